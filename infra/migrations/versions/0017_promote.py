"""Keep versions of settings, which of them is live, how it came to be, and what each answer was made by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

TABLES = ("setting_version", "live_setting", "promotion")
OUTCOMES = "outcome in ('promoted', 'refused', 'broken', 'rolled_back')"


def _document(name: str, default: str = "{}") -> sa.Column:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=sa.text(f"'{default}'::jsonb"), nullable=False)


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _owned(table: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        _moment("created_at"),
        *columns,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant_id"], unique=False)


def upgrade() -> None:
    for table in ("query", "batch"):
        op.add_column(table, _document("pins", "null"))
    op.add_column("answer", _document("versions"))
    candidate = sa.Column("candidate", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    op.add_column("evaluation", candidate)
    _owned(
        "setting_version",
        sa.Column("slot", AutoString(length=80), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", AutoString(length=64), nullable=False),
        _document("content"),
        _document("lineage"),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.UniqueConstraint("tenant_id", "slot", "number"),
        sa.UniqueConstraint("tenant_id", "slot", "digest"),
    )
    op.create_table(
        "live_setting",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("slot", AutoString(length=80), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        _moment("since"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["version_id"], ["setting_version.id"]),
        sa.PrimaryKeyConstraint("tenant_id", "slot"),
    )
    _owned(
        "promotion",
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("incumbent_id", sa.Uuid(), nullable=True),
        sa.Column("suite_id", sa.Uuid(), nullable=False),
        sa.Column("candidate_evaluation_id", sa.Uuid(), nullable=False),
        sa.Column("incumbent_evaluation_id", sa.Uuid(), nullable=False),
        sa.Column("outcome", AutoString(length=20), nullable=True),
        sa.Column("sentence", AutoString(), nullable=True),
        _document("comparison"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(OUTCOMES, name="known_promotion_outcome"),
        sa.ForeignKeyConstraint(["version_id"], ["setting_version.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["suite_id"], ["suite.id"], ondelete="CASCADE"),
    )
    for table in TABLES:
        for statement in locks(table):
            op.execute(statement)
    op.execute(f"grant select, insert, delete on setting_version to {APPLICATION_ROLE}")
    op.execute(f"grant select, insert, update, delete on live_setting, promotion to {APPLICATION_ROLE}")


def downgrade() -> None:
    for table in ("promotion", "live_setting", "setting_version"):
        op.drop_table(table)
    op.drop_column("evaluation", "candidate")
    op.drop_column("answer", "versions")
    for table in ("batch", "query"):
        op.drop_column(table, "pins")
