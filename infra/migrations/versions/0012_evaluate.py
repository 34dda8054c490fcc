"""Evaluate suites: cases, evaluations and scores; batches with limits of their own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = ("suite", "suite_case", "evaluation", "case_score")


def _document(name: str, default: str = "{}") -> sa.Column:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=sa.text(f"'{default}'::jsonb"), nullable=False)


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
    op.add_column("batch", _document("limits"))
    _owned(
        "suite",
        sa.Column("name", AutoString(length=100), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("digest", AutoString(length=64), nullable=False),
        _document("about"),
        sa.Column("cases", sa.Integer(), nullable=False),
        sa.Column("origin", AutoString(length=200), nullable=False),
        sa.UniqueConstraint("tenant_id", "name", "version"),
        sa.UniqueConstraint("tenant_id", "name", "digest"),
    )
    _owned(
        "suite_case",
        sa.Column("suite_id", sa.Uuid(), nullable=False),
        sa.Column("key", AutoString(length=200), nullable=False),
        _document("content"),
        sa.ForeignKeyConstraint(["suite_id"], ["suite.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("suite_id", "key"),
    )
    _owned(
        "evaluation",
        sa.Column("suite_id", sa.Uuid(), nullable=False),
        sa.Column("judged", sa.Boolean(), nullable=False),
        sa.Column("baseline_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", AutoString(length=20), nullable=True),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("stopped_by", AutoString(length=20), nullable=True),
        *(_document(name) for name in ("summary", "comparison", "agreement")),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("outcome in ('passed', 'regressed', 'broken')", name="known_outcome"),
        sa.ForeignKeyConstraint(["suite_id"], ["suite.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_evaluation_newest", "evaluation", ["tenant_id", "created_at"], unique=False)
    _owned(
        "case_score",
        sa.Column("evaluation_id", sa.Uuid(), nullable=False),
        sa.Column("abstained", sa.Boolean(), nullable=False),
        _document("scores"),
        sa.Column("reason", AutoString(), nullable=True),
        sa.ForeignKeyConstraint(["evaluation_id"], ["evaluation.id"], ondelete="CASCADE"),
    )
    op.create_index("ix_case_score_evaluation", "case_score", ["evaluation_id"], unique=False)
    for table in TABLES:
        for statement in locks(table):
            op.execute(statement)
    op.execute(f"grant select, insert, delete on suite, suite_case to {APPLICATION_ROLE}")
    op.execute(f"grant select, insert, update, delete on evaluation, case_score to {APPLICATION_ROLE}")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("batch", "limits")
