"""Keep every quote, and who approved what it says, in one table."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0041"
down_revision = "0040"
branch_labels = None
depends_on = None

TABLE = "approval"
OUTCOMES = "known_optimisation_outcome"
ADDED = "quote || jsonb_build_object('approve_above', approve_above::text, 'needs_approval', status = 'waiting')"
STATE = """
case when dry_run then 'quoted' when approved_by is not null then 'approved' when status = 'declined' then 'declined'
  else 'waiting' end
"""
MOVE = f"""
insert into approval (id, tenant_id, workflow, quote, state, decided_by, flow_run_id, waits_since)
select id, tenant_id, 'run-personas', {ADDED}, {STATE}, approved_by, flow_run_id,
  case when status = 'waiting' then now() end
from batch where jsonb_typeof(quote) = 'object'
"""  # noqa: S608 -- only constants are put into the text
MOVE_BACK = """
update batch b set quote = a.quote - 'approve_above' - 'needs_approval',
  approve_above = cast(a.quote ->> 'approve_above' as numeric),
  approved_by = case when a.state = 'approved' then a.decided_by end
from approval a where a.id = b.id
"""
RENAME = "update api_key set scopes = replace(scopes::text, '\"{}\"', '\"{}\"')::jsonb where scopes is not null"
PERMISSIONS = ("batches.approve", "spending.approve")


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("workflow", sa.String(length=50), nullable=False),
        sa.Column("quote", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("waits_since", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('quoted', 'waiting', 'approved', 'declined')", name="known_approval_state"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_approval_tenant_id"), TABLE, ["tenant_id"], unique=False)
    _of_all_tenants(MOVE, "batch")
    for statement in locks(TABLE):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on {TABLE} to {APPLICATION_ROLE}")
    for column in ("quote", "approve_above", "approved_by"):
        op.drop_column("batch", column)
    op.drop_constraint(OUTCOMES, "optimisation", type_="check")
    op.create_check_constraint(OUTCOMES, "optimisation", "outcome in ('improved', 'no_gain', 'refused', 'broken')")
    _of_all_tenants(RENAME.format(*PERMISSIONS), "api_key")


def downgrade() -> None:
    _of_all_tenants(RENAME.format(*reversed(PERMISSIONS)), "api_key")
    _of_all_tenants("update optimisation set outcome = 'broken' where outcome = 'refused'", "optimisation")
    op.drop_constraint(OUTCOMES, "optimisation", type_="check")
    op.create_check_constraint(OUTCOMES, "optimisation", "outcome in ('improved', 'no_gain', 'broken')")
    op.add_column("batch", sa.Column("approve_above", sa.Numeric(precision=18, scale=9), nullable=True))
    quote = sa.Column("quote", postgresql.JSONB(), server_default=sa.text("'null'::jsonb"), nullable=False)
    op.add_column("batch", quote)
    op.add_column("batch", sa.Column("approved_by", sa.String(length=200), nullable=True))
    op.execute(f"alter table {TABLE} no force row level security")
    _of_all_tenants(MOVE_BACK, "batch")
    op.drop_table(TABLE)


def _of_all_tenants(statement: str, table: str) -> None:
    """Carry out, as the table's owner, what concerns the rows of all tenants."""
    op.execute(f"alter table {table} no force row level security")
    op.execute(statement)
    op.execute(f"alter table {table} force row level security")
