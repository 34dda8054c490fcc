"""Keep teams and where their steps ended."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

STATUS = "status in ('queued', 'running', 'done', 'partial', 'refused', 'failed')"
STATE = "state in ('queued', 'running', 'done', 'refused', 'failed', 'skipped')"


def _document(name: str, default: str) -> sa.Column:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=sa.text(f"'{default}'::jsonb"), nullable=False)


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=True)


def _ending() -> tuple[sa.Column, sa.Column]:
    return sa.Column("cause", AutoString(length=50), nullable=True), sa.Column("sentence", AutoString(), nullable=True)


def _owned(table: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        *columns,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant_id"], unique=False)
    for statement in locks(table):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on {table} to {APPLICATION_ROLE}")


def upgrade() -> None:
    _owned(
        "team",
        sa.Column("question", AutoString(), nullable=False),
        _document("plan", "null"),
        _document("limits", "{}"),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.Column("status", AutoString(length=20), nullable=False),
        *_ending(),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        _moment("leased_until"),
        _moment("finished_at"),
        sa.CheckConstraint(STATUS, name="known_team_status"),
    )
    _owned(
        "team_step",
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.Column("name", AutoString(length=40), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("state", AutoString(length=20), nullable=False),
        *_ending(),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("iterations", sa.Integer(), nullable=False),
        sa.Column("dollars", sa.Numeric(precision=18, scale=9), nullable=True),
        sa.CheckConstraint(STATE, name="known_step_state"),
        sa.CheckConstraint("(state in ('refused', 'failed', 'skipped')) = (cause is not null)", name="end_has_cause"),
        sa.ForeignKeyConstraint(["team_id"], ["team.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("team_id", "name"),
    )


def downgrade() -> None:
    op.drop_table("team_step")
    op.drop_table("team")
