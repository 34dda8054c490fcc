"""Keep searches for better prompts, and let the half of a suite decide that nothing was learned from."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql
from sqlmodel.sql.sqltypes import AutoString

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

OUTCOMES = "outcome in ('improved', 'no_gain', 'broken')"


def _document(name: str, default: str = "{}") -> sa.Column:
    kind = postgresql.JSONB(astext_type=sa.Text())
    return sa.Column(name, kind, server_default=sa.text(f"'{default}'::jsonb"), nullable=False)


def upgrade() -> None:
    op.add_column("promotion", sa.Column("held_out", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_table(
        "optimisation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("suite_id", sa.Uuid(), nullable=False),
        sa.Column("persona", AutoString(length=50), nullable=False),
        sa.Column("optimiser", AutoString(length=50), nullable=False),
        _document("limits"),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        _document("documents", "[]"),
        sa.Column("version_id", sa.Uuid(), nullable=True),
        sa.Column("outcome", AutoString(length=20), nullable=True),
        sa.Column("stopped_by", AutoString(length=20), nullable=True),
        sa.Column("sentence", AutoString(), nullable=True),
        _document("lineage"),
        _document("artefact"),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(OUTCOMES, name="known_optimisation_outcome"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["suite_id"], ["suite.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_optimisation_tenant_id"), "optimisation", ["tenant_id"], unique=False)
    for statement in locks("optimisation"):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on optimisation to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("optimisation")
    op.drop_column("promotion", "held_out")
