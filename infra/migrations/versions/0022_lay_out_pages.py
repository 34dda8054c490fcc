"""Keep where the lines of a document's pages stand."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("document_version", sa.Column("layout", sa.ARRAY(sa.Text()), nullable=True))


def downgrade() -> None:
    op.drop_column("document_version", "layout")
