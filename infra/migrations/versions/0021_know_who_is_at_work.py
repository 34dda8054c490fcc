"""Know which process reads an item, and whether it is still at work."""

import sqlalchemy as sa
from alembic import op

from kowai.presence import AT_WORK

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("ingestion_item", sa.Column("claimed_by", sa.Integer(), nullable=True))
    op.execute(AT_WORK)


def downgrade() -> None:
    op.execute("drop function at_work")
    op.drop_column("ingestion_item", "claimed_by")
