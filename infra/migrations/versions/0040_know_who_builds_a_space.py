"""Know which run builds a vector space, so that one whose run was killed can be given up."""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None

TABLE = "embedding_space"


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("built_by", sa.Integer()))
    begun_at = sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column(TABLE, begun_at)


def downgrade() -> None:
    for column in ("begun_at", "built_by"):
        op.drop_column(TABLE, column)
