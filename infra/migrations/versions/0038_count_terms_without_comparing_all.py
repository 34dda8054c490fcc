"""Count the terms of a batch without comparing each of them with every other."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

FUNCTION = "alter function count_terms(uuid, text[], bigint[], bigint[])"


def upgrade() -> None:
    op.execute(f"{FUNCTION} set enable_nestloop = off")


def downgrade() -> None:
    op.execute(f"{FUNCTION} reset enable_nestloop")
