"""Let a tenant switch guards for itself."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "guard_switch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("guard", sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
        sa.Column("stage", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "guard", "stage"),
    )
    op.create_index(op.f("ix_guard_switch_tenant_id"), "guard_switch", ["tenant_id"], unique=False)
    for statement in locks("guard_switch"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on guard_switch to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("guard_switch")
