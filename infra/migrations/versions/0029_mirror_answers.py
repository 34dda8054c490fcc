"""Note for the mirror what changes of a mirrored tenant's questions and answers."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

# Each change is an entry of its own: to renew one that is being told would wait for Appwrite.
NOTE = """
create function note_for_mirror() returns trigger language plpgsql as $$
declare changed record; query_id uuid;
begin
  if tg_op = 'DELETE' then changed := old; else changed := new; end if;
  if tg_table_name = 'answer' then query_id := changed.query_id; else query_id := changed.id; end if;
  insert into outbox (id, tenant_id, kind, payload, attempts)
  select gen_random_uuid(), t.id, 'mirror', jsonb_build_object('query', query_id), 0
  from tenant t where t.id = changed.tenant_id and t.mirrored;
  return null;
end $$
"""


def upgrade() -> None:
    op.add_column("tenant", sa.Column("mirrored", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.execute(NOTE)
    for table in ("query", "answer"):
        op.execute(
            f"create trigger note_for_mirror after insert or update or delete on {table}"
            " for each row execute function note_for_mirror()"
        )


def downgrade() -> None:
    for table in ("query", "answer"):
        op.execute(f"drop trigger note_for_mirror on {table}")
    op.execute("drop function note_for_mirror()")
    op.drop_column("tenant", "mirrored")
