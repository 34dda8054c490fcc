"""Let several vector spaces exist, one of them current, and name the embedder of each."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.spaces import FUNCTIONS

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

STATES = "state in ('current', 'building', 'retired', 'dropping')"


def upgrade() -> None:
    table, text = "embedding_space", sa.String
    op.add_column(table, sa.Column("state", text(20), server_default="current", nullable=False))
    op.add_column(table, sa.Column("embedder", text(100), server_default="kowai", nullable=False))
    op.add_column(table, sa.Column("normalised", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column(table, sa.Column("public_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    evaluation = postgresql.JSONB(astext_type=sa.Text())
    op.add_column(table, sa.Column("evaluation", evaluation, server_default=sa.text("'{}'::jsonb"), nullable=False))
    op.create_check_constraint("known_space_state", table, STATES)
    op.drop_constraint("embedding_space_model_key", table)
    op.create_unique_constraint("embedding_space_model_dimensions_key", table, ["model", "dimensions"])
    op.create_unique_constraint("embedding_space_public_id_key", table, ["public_id"])
    for state in ("current", "building"):
        where = sa.text(f"state = '{state}'")
        op.create_index(f"ix_embedding_space_{state}", table, ["state"], unique=True, postgresql_where=where)
    for statement in FUNCTIONS:
        op.execute(statement)


def downgrade() -> None:
    table = "embedding_space"
    for function in ("open_space", "drop_space_index", "make_space"):
        op.execute(f"drop function {function}")
    op.execute("""
create function open_space(wanted text, size integer) returns integer language sql as
$$ select id from embedding_space where model = wanted and dimensions = size $$""")
    for state in ("building", "current"):
        op.drop_index(f"ix_embedding_space_{state}", table_name=table)
    op.drop_constraint("embedding_space_public_id_key", table)
    op.drop_constraint("embedding_space_model_dimensions_key", table)
    op.create_unique_constraint("embedding_space_model_key", table, ["model"])
    op.drop_constraint("known_space_state", table)
    for column in ("evaluation", "public_id", "normalised", "embedder", "state"):
        op.drop_column(table, column)
