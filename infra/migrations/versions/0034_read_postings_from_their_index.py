"""Let a search read postings from their index alone: the table declared so, but the key was made without them."""

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

KEY = "alter table posting drop constraint posting_pkey, add constraint posting_pkey primary key"


def upgrade() -> None:
    op.execute(f"{KEY} (tenant_id, term, chunk_id) include (frequency, length)")


def downgrade() -> None:
    op.execute(f"{KEY} (tenant_id, term, chunk_id)")
