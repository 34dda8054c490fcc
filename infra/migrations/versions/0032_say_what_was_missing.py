"""Say of an answer which help was missing when its passages were found."""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("answer", sa.Column("note", sa.String()))


def downgrade() -> None:
    op.drop_column("answer", "note")
