"""Let a tenant say for how long its old versions are kept."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("keep_versions", sa.Integer(), nullable=True),
        sa.Column("keep_days", sa.Integer(), nullable=True),
        sa.CheckConstraint("keep_versions >= 1 and keep_days >= 1", name="keeps_something"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    for statement in locks("retention"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on retention to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("retention")
