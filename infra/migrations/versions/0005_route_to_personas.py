"""Record who was chosen to answer, by what, and how sure that was."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("query", sa.Column("routed_by", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=True))
    op.add_column("query", sa.Column("routing_confidence", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("query", "routing_confidence")
    op.drop_column("query", "routed_by")
