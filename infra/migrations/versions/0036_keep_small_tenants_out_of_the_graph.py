"""Build vector graphs of large tenants only, and find a text's vector again by its digest."""

import sqlalchemy as sa
from alembic import op

from kowai.spaces import MAKE_SPACE

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

TABLE = "chunk_vector"
COLUMNS = "chunk_id, space_id, tenant_id, embedding"
VIEW = """
create or replace view as_of.chunk_vector with (security_invoker = true) as
select {columns}{graph} from public.chunk_vector where exists (
  select from public.chunk c where c.id = chunk_id and exists (
    select from public.document_version v where v.document_id = c.document_id
    and v.version = c.version and v.created_at <= current_setting('app.as_of')::timestamptz))
union all select {columns}{none} from public.past_vector where exists (
  select from public.past_chunk p where p.id = chunk_id and valid_from <= current_setting('app.as_of')::timestamptz
  and valid_until > current_setting('app.as_of')::timestamptz)
"""
REBUILD = """
do $$ declare space record; begin
  for space in select id, dimensions from embedding_space loop
    execute format('drop index if exists ix_space_%s', space.id);
    execute format('create index ix_space_%s on chunk_vector using hnsw ((embedding::halfvec(%s)) halfvec_cosine_ops)'
                   ' with (m = 16, ef_construction = 64) where space_id = %1$s{and_in_graph}', space.id, space.dimensions);
  end loop;
end $$
"""


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("in_graph", sa.Boolean(), server_default=sa.true(), nullable=False))
    op.add_column(TABLE, sa.Column("digest", sa.Uuid(), nullable=True))
    outside = {"postgresql_where": sa.text("not in_graph")}
    op.create_index("ix_chunk_vector_outside", TABLE, ["tenant_id", "space_id"], **outside)
    op.create_index("ix_chunk_vector_digest", TABLE, ["tenant_id", "digest"])
    op.execute(VIEW.format(columns=COLUMNS, graph=", in_graph", none=", false"))
    op.execute(MAKE_SPACE)
    op.execute(REBUILD.replace("{and_in_graph}", " and in_graph"))


def downgrade() -> None:
    op.execute(REBUILD.replace("{and_in_graph}", ""))
    op.execute(MAKE_SPACE.replace(" and in_graph", ""))
    op.execute("drop view as_of.chunk_vector")
    op.execute(VIEW.format(columns=COLUMNS, graph="", none=""))
    op.execute("grant select on as_of.chunk_vector to kowai_app")
    for index in ("ix_chunk_vector_digest", "ix_chunk_vector_outside"):
        op.drop_index(index, table_name=TABLE)
    for column in ("digest", "in_graph"):
        op.drop_column(TABLE, column)
