"""Label documents with their content type and language."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.Column("content_type", sa.String(length=20), server_default="general", nullable=False)
    op.add_column("document", kind)
    op.add_column("document", sa.Column("language", sa.String(length=3), nullable=True))


def downgrade() -> None:
    op.drop_column("document", "language")
    op.drop_column("document", "content_type")
