"""Let a tenant have a threshold of its own, above which what it starts waits for somebody's approval."""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("budget", sa.Column("approve_above", sa.Numeric(precision=18, scale=9), nullable=True))


def downgrade() -> None:
    op.drop_column("budget", "approve_above")
