"""Keep flags, experiments and who was exposed to which arm."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

TABLES = ("flag", "experiment", "exposure")


def _document(name: str) -> sa.Column:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=sa.text("'{}'::jsonb"), nullable=False)


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


def upgrade() -> None:
    _owned(
        "flag",
        sa.Column("name", AutoString(length=80), nullable=False),
        _document("content"),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    _owned(
        "experiment",
        sa.Column("slot", AutoString(length=80), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("control_id", sa.Uuid(), nullable=True),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("unit", AutoString(length=20), nullable=False),
        sa.Column("metric", AutoString(length=20), nullable=False),
        sa.Column("alpha", sa.Float(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("outcome", AutoString(length=20), nullable=True),
        sa.Column("sentence", AutoString(), nullable=True),
        _document("found"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome in ('won', 'lost', 'stopped')", name="known_experiment_outcome"),
        sa.CheckConstraint("share > 0 and share < 1", name="possible_share"),
        sa.ForeignKeyConstraint(["version_id"], ["setting_version.id"], ondelete="CASCADE"),
    )
    running = sa.text("outcome is null")
    op.create_index("ix_experiment_running", "experiment", ["tenant_id", "slot"], unique=True, postgresql_where=running)
    _owned(
        "exposure",
        sa.Column("experiment_id", sa.Uuid(), nullable=False),
        sa.Column("query_id", sa.Uuid(), nullable=False),
        sa.Column("unit", sa.Uuid(), nullable=False),
        sa.Column("arm", AutoString(length=20), nullable=False),
        sa.ForeignKeyConstraint(["experiment_id"], ["experiment.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("experiment_id", "query_id"),
    )
    op.create_index(op.f("ix_exposure_query_id"), "exposure", ["query_id"], unique=False)
    for table in TABLES:
        for statement in locks(table):
            op.execute(statement)
    op.execute(f"grant select, insert, update, delete on flag, experiment to {APPLICATION_ROLE}")
    op.execute(f"grant select, insert, delete on exposure to {APPLICATION_ROLE}")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
