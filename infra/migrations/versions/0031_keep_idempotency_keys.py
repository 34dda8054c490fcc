"""Keep what a caller's own key for a request stands for."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_idempotency_key_tenant_id"), "idempotency_key", ["tenant_id"], unique=False)
    for statement in locks("idempotency_key"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on idempotency_key to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("idempotency_key")
