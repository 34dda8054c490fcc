"""Hold documents back until somebody has looked at them."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("item_id", sa.Uuid(), nullable=True),
        sa.Column("external_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("content_hash", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("passages", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("reviewed_by", sa.Uuid(), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('waiting', 'released', 'rejected')", name="known_quarantine_state"),
        sa.ForeignKeyConstraint(["item_id"], ["ingestion_item.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "external_id", "content_hash"),
    )
    op.create_index("ix_quarantine_state", "quarantine", ["tenant_id", "state", "created_at"])
    op.create_index(op.f("ix_quarantine_item_id"), "quarantine", ["item_id"])
    op.create_index(op.f("ix_quarantine_tenant_id"), "quarantine", ["tenant_id"])
    for statement in locks("quarantine"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on quarantine to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("quarantine")
