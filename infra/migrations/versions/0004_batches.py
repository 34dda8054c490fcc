"""Ask many questions of several personas."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TENANT_TABLES = ("question_set", "set_question", "batch", "batch_item")


def upgrade() -> None:
    op.create_table(
        "batch_turn",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("party", sa.Uuid(), nullable=False),
        sa.Column("waiting", sa.Boolean(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "question_set",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_question_set_tenant_id"), "question_set", ["tenant_id"], unique=False)
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("question_set_id", sa.Uuid(), nullable=False),
        sa.Column(
            "personas", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("approve_above", sa.Numeric(precision=18, scale=9), nullable=True),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column(
            "quote", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'null'::jsonb"), nullable=False
        ),
        sa.Column("approved_by", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("flow_run_id", sa.Uuid(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "results", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint(
            "status in ('queued', 'quoted', 'waiting', 'running', 'done', 'declined')", name="known_batch_status"
        ),
        sa.ForeignKeyConstraint(["question_set_id"], ["question_set.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_batch_tenant_id"), "batch", ["tenant_id"], unique=False)
    op.create_table(
        "set_question",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("question_set_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(length=200), nullable=False),
        sa.Column("text", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["question_set_id"], ["question_set.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("question_set_id", "key"),
    )
    op.create_index("ix_set_question", "set_question", ["question_set_id", "ordinal"], unique=False)
    op.create_index(op.f("ix_set_question_tenant_id"), "set_question", ["tenant_id"], unique=False)
    op.create_table(
        "batch_item",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("batch_id", sa.Uuid(), nullable=False),
        sa.Column("question_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("persona", sqlmodel.sql.sqltypes.AutoString(length=50), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=20), nullable=False),
        sa.Column("cause", sqlmodel.sql.sqltypes.AutoString(length=50), nullable=True),
        sa.Column("sentence", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.CheckConstraint("(state in ('refused', 'dead')) = (cause is not null)", name="end_has_cause"),
        sa.CheckConstraint("state in ('queued', 'running', 'done', 'refused', 'dead')", name="known_item_state"),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["question_id"], ["set_question.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("batch_id", "question_id", "persona"),
    )
    op.create_index("ix_batch_item_state", "batch_item", ["batch_id", "state", "ordinal"], unique=False)
    op.create_index(op.f("ix_batch_item_tenant_id"), "batch_item", ["tenant_id"], unique=False)
    for table in TENANT_TABLES:
        for statement in locks(table):
            op.execute(statement)
    for table in (*TENANT_TABLES, "batch_turn"):
        op.execute(f"grant select, insert, update, delete on {table} to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_index(op.f("ix_batch_item_tenant_id"), table_name="batch_item")
    op.drop_index("ix_batch_item_state", table_name="batch_item")
    op.drop_table("batch_item")
    op.drop_index(op.f("ix_set_question_tenant_id"), table_name="set_question")
    op.drop_index("ix_set_question", table_name="set_question")
    op.drop_table("set_question")
    op.drop_index(op.f("ix_batch_tenant_id"), table_name="batch")
    op.drop_table("batch")
    op.drop_index(op.f("ix_question_set_tenant_id"), table_name="question_set")
    op.drop_table("question_set")
    op.drop_table("batch_turn")
