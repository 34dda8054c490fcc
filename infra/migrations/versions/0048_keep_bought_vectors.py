"""Keep vectors that were paid for until they are indexed, so that a crash in between does not buy them again."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None

TABLE = "bought_vector"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("kept_until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "text_hash"),
    )
    op.create_index(op.f("ix_bought_vector_tenant_id"), TABLE, ["tenant_id"], unique=False)
    for statement in locks(TABLE):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on {TABLE} to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table(TABLE)
