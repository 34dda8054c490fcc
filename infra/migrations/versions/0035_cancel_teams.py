"""Let a team that somebody cancelled say so; those that were before end as what they are."""

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

BEFORE = "'queued', 'running', 'done', 'partial', 'refused', 'failed'"


def upgrade() -> None:
    _allow(f"{BEFORE}, 'cancelled'")
    op.execute("update team set status = 'cancelled' where cause = 'cancelled'")


def downgrade() -> None:
    op.execute("update team set status = 'refused' where status = 'cancelled'")
    _allow(BEFORE)


def _allow(states: str) -> None:
    op.drop_constraint("known_team_status", "team")
    op.create_check_constraint("known_team_status", "team", f"status in ({states})")
