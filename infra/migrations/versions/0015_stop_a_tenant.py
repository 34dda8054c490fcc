"""Stop a tenant: each transaction of a suspended one is refused as it begins."""

from alembic import op

from kowai.tenancy import REFUSE_SUSPENDED

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(REFUSE_SUSPENDED)


def downgrade() -> None:
    op.execute("drop function refuse_suspended")
