"""Let the platform's admins set what a tenant may spend; nobody deletes a budget."""

from alembic import op

from kowai.tenancy import APPLICATION_ROLE

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(f"grant insert, update on budget to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.execute(f"revoke insert, update on budget from {APPLICATION_ROLE}")
