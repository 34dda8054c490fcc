"""Note for the mirror what changes of ratings, and tell again what was mirrored without its insights."""

from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None

NOTE = """
create or replace function note_for_mirror() returns trigger language plpgsql as $$
declare changed record; query_id uuid;
begin
  if tg_op = 'DELETE' then changed := old; else changed := new; end if;
  if tg_table_name {tables} then query_id := changed.query_id; else query_id := changed.id; end if;
  insert into outbox (id, tenant_id, kind, payload, attempts)
  select gen_random_uuid(), t.id, 'mirror', jsonb_build_object('query', query_id), 0
  from tenant t where t.id = changed.tenant_id and t.mirrored;
  return null;
end $$
"""
TOLD_AGAIN = """
insert into outbox (id, tenant_id, kind, payload, attempts)
select gen_random_uuid(), t.id, 'mirror', jsonb_build_object('query', q.id), 0
from query q join tenant t on t.id = q.tenant_id where t.mirrored
"""


def upgrade() -> None:
    op.execute(NOTE.format(tables="in ('answer', 'feedback')"))
    op.execute(
        "create trigger note_for_mirror after insert or update or delete on feedback"
        " for each row execute function note_for_mirror()"
    )
    op.execute(TOLD_AGAIN)


def downgrade() -> None:
    op.execute("drop trigger note_for_mirror on feedback")
    op.execute(NOTE.format(tables="= 'answer'"))
