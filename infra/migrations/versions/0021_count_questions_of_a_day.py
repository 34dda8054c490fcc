"""Find a tenant's questions by when they were asked."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_query_created", "query", ["tenant_id", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_query_created", "query")
