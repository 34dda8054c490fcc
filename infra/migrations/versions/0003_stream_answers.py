"""Stream answers: remember which are told as they are written, and that a question may be given up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BEFORE = "status in ('queued', 'running', 'done', 'refused', 'failed')"
AFTER = "status in ('queued', 'running', 'done', 'refused', 'failed', 'stopped')"


def upgrade() -> None:
    op.add_column("query", sa.Column("streamed", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.alter_column("query", "streamed", server_default=None)
    op.drop_constraint("known_status", "query", type_="check")
    op.create_check_constraint("known_status", "query", AFTER)


def downgrade() -> None:
    op.execute("update query set status = 'failed' where status = 'stopped'")
    op.drop_constraint("known_status", "query", type_="check")
    op.create_check_constraint("known_status", "query", BEFORE)
    op.drop_column("query", "streamed")
