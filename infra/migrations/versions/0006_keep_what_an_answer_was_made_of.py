"""Keep with an answer its sentences, the persona's version and what was asked: what a replay needs."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, default in (("sentences", "'[]'::jsonb"), ("prompt", "'{}'::jsonb")):
        kind = postgresql.JSONB(astext_type=sa.Text())
        op.add_column("answer", sa.Column(name, kind, server_default=sa.text(default), nullable=False))
    version = sqlmodel.sql.sqltypes.AutoString(length=16)
    op.add_column("answer", sa.Column("persona_version", version, nullable=True))


def downgrade() -> None:
    for name in ("persona_version", "prompt", "sentences"):
        op.drop_column("answer", name)
