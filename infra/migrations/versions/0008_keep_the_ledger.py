"""Keep the ledger: where every accepted document stands, and certificates of what was deleted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.ledger import VIEW
from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

QUOTED = "jsonb_path_query_array(citations || passages, '$[*].document_id')"


def upgrade() -> None:
    op.add_column("ingestion_item", sa.Column("source_id", sa.Uuid(), nullable=True))
    for name, value in {
        "external_id": "coalesce(details ->> 'external_id', uri)",
        "original": "details ->> 'original'",
    }.items():
        op.add_column("ingestion_item", sa.Column(name, sa.Text(), sa.Computed(value, persisted=True), nullable=True))
    op.create_index("ix_ingestion_item_external_id", "ingestion_item", ["tenant_id", "external_id"])
    op.create_index(
        "ix_ingestion_item_original", "ingestion_item", ["original"], postgresql_where=sa.text("original is not null")
    )
    op.create_index("ix_ingestion_item_source", "ingestion_item", ["tenant_id", "source_id", "state"])
    op.drop_constraint("known_state", "ingestion_item")
    op.drop_constraint("dead_has_cause", "ingestion_item")
    op.create_check_constraint(
        "known_state",
        "ingestion_item",
        "state in ('queued', 'running', 'indexed', 'unchanged', 'quarantined', 'dead')",
    )
    op.create_check_constraint(
        "dead_has_cause", "ingestion_item", "(state in ('quarantined', 'dead')) = (cause is not null)"
    )
    op.create_index(
        "ix_ingestion_sources",
        "ingestion",
        ["sources"],
        postgresql_using="gin",
        postgresql_ops={"sources": "jsonb_path_ops"},
    )
    op.add_column("answer", sa.Column("quoted", postgresql.JSONB(), sa.Computed(QUOTED, persisted=True), nullable=True))
    op.create_index("ix_answer_quoted", "answer", ["quoted"], postgresql_using="gin")
    op.create_index(
        "ix_model_call_query",
        "model_call",
        ["tenant_id", "query_id"],
        postgresql_where=sa.text("query_id is not null"),
    )
    op.create_table(
        "deletion_certificate",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("name_hash", sa.String(length=64), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("counts", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("previous_hash", sa.String(length=64), nullable=True),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_deletion_certificate_tenant_id"), "deletion_certificate", ["tenant_id"])
    op.create_index("ix_deletion_certificate_name", "deletion_certificate", ["tenant_id", "name_hash", "created_at"])
    for statement in locks("deletion_certificate"):
        op.execute(statement)
    op.execute(f"grant select, insert on deletion_certificate to {APPLICATION_ROLE}")
    op.execute(VIEW)
    op.execute(f"grant select on ledger to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.execute("drop view ledger")
    op.drop_table("deletion_certificate")
    op.drop_index("ix_model_call_query", table_name="model_call")
    op.drop_index("ix_answer_quoted", table_name="answer")
    op.drop_column("answer", "quoted")
    op.drop_index("ix_ingestion_sources", table_name="ingestion")
    op.execute("delete from ingestion_item where state = 'quarantined'")
    op.drop_constraint("dead_has_cause", "ingestion_item")
    op.drop_constraint("known_state", "ingestion_item")
    op.create_check_constraint("dead_has_cause", "ingestion_item", "(state = 'dead') = (cause is not null)")
    op.create_check_constraint(
        "known_state", "ingestion_item", "state in ('queued', 'running', 'indexed', 'unchanged', 'dead')"
    )
    op.drop_index("ix_ingestion_item_source", table_name="ingestion_item")
    op.drop_index("ix_ingestion_item_original", table_name="ingestion_item")
    op.drop_index("ix_ingestion_item_external_id", table_name="ingestion_item")
    for name in ("original", "external_id", "source_id"):
        op.drop_column("ingestion_item", name)
