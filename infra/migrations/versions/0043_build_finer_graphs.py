"""Build finer vector graphs from now on: those that exist stay as they are until their space is built anew."""

from alembic import op

from kowai.spaces import MAKE_SPACE

revision = "0043"
down_revision = "0042"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(MAKE_SPACE)


def downgrade() -> None:
    op.execute(MAKE_SPACE.replace("ef_construction = 128", "ef_construction = 64"))
