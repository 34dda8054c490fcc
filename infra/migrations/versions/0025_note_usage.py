"""Note what is done without what is said: by triggers, so that no question waits for it and none is forgotten."""

import sqlalchemy as sa
from alembic import op
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# What evaluations and batches ask is nobody's use.
NOTE_QUERY = """
create function note_question() returns trigger language plpgsql as $$
begin
  if new.pins = 'null'::jsonb and not exists (select from batch_item where id = new.id) then
    insert into usage_event (id, tenant_id, kind, actor, persona) values (gen_random_uuid(), new.tenant_id,
      case new.status when 'done' then 'answered' else new.status end, new.asked_by, new.persona);
  end if;
  return null;
end $$
"""
NOTE_FEEDBACK = """
create function note_rating() returns trigger language plpgsql as $$
begin
  insert into usage_event (id, tenant_id, kind, actor, persona)
  select gen_random_uuid(), new.tenant_id, case new.rating when 'up' then 'liked' else 'disliked' end, new.given_by,
    (select persona from query where id = new.query_id);
  return null;
end $$
"""
ON_QUERY = """
create trigger note_question after update of status on query for each row
when (new.status in ('done', 'refused', 'failed', 'stopped') and old.status is distinct from new.status)
execute function note_question()
"""
ON_FEEDBACK = "create trigger note_rating after insert on feedback for each row execute function note_rating()"


def upgrade() -> None:
    op.create_table(
        "usage_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", AutoString(length=20), nullable=False),
        sa.Column("actor", sa.Uuid(), nullable=True),
        sa.Column("persona", AutoString(length=50), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_usage_event_tenant_id"), "usage_event", ["tenant_id"], unique=False)
    op.create_index("ix_usage_event_moment", "usage_event", ["tenant_id", "created_at"], unique=False)
    for statement in locks("usage_event"):
        op.execute(statement)
    op.execute(f"grant select, insert on usage_event to {APPLICATION_ROLE}")
    for statement in (NOTE_QUERY, NOTE_FEEDBACK, ON_QUERY, ON_FEEDBACK):
        op.execute(statement)


def downgrade() -> None:
    op.execute("drop trigger note_question on query")
    op.execute("drop trigger note_rating on feedback")
    for name in ("note_question", "note_rating"):
        op.execute(f"drop function {name}()")
    op.drop_table("usage_event")
