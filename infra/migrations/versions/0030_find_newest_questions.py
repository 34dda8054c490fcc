"""Find a tenant's newest questions, and its documents that are not done, without reading the others."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_query_newest", "query", ["tenant_id", "created_at"])
    unfinished = sa.text("state in ('queued', 'running', 'dead')")
    op.create_index(
        "ix_ingestion_item_unfinished", "ingestion_item", ["tenant_id", "state"], postgresql_where=unfinished
    )


def downgrade() -> None:
    op.drop_index("ix_ingestion_item_unfinished", "ingestion_item")
    op.drop_index("ix_query_newest", "query")
