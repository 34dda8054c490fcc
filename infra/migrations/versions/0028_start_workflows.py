"""Keep whose runs are whose."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflow_run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("workflow", sa.String(length=63), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_workflow_run_tenant_id"), "workflow_run", ["tenant_id"], unique=False)
    for statement in locks("workflow_run"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on workflow_run to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("workflow_run")
