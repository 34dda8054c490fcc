"""Keep sources as objects: their kind, options, schedule and what the last walk left."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SOURCE = (
    sa.Column("kind", sa.String(length=20), server_default="path", nullable=False),
    sa.Column("options", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column("handling", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column("cron", sa.String(length=100), nullable=True),
    sa.Column("timezone", sa.String(length=64), server_default="UTC", nullable=False),
    sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    sa.Column("vanished", sa.String(length=10), server_default="keep", nullable=False),
    sa.Column("marks", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
    sa.Column("due_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    sa.Column("walked_at", sa.DateTime(timezone=True), nullable=True),
)


def upgrade() -> None:
    for column in SOURCE:
        op.add_column("source", column)
    op.create_check_constraint("known_policy", "source", "vanished in ('keep', 'mark', 'remove')")
    op.create_index("ix_source_due", "source", ["tenant_id", "due_at"], postgresql_where=sa.text("active"))
    op.execute("update source set kind = 'url' where uri ilike 'http://%' or uri ilike 'https://%'")
    walks = sa.Column("walks", postgresql.JSONB(), server_default=sa.text("'null'::jsonb"), nullable=False)
    op.add_column("ingestion", walks)
    op.add_column("document", sa.Column("vanished_at", sa.DateTime(timezone=True), nullable=True))
    validators = sa.Column("validators", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)
    op.add_column("document", validators)


def downgrade() -> None:
    op.drop_column("document", "validators")
    op.drop_column("document", "vanished_at")
    op.drop_column("ingestion", "walks")
    op.drop_index("ix_source_due", table_name="source")
    op.drop_constraint("known_policy", "source")
    for column in reversed(SOURCE):
        op.drop_column("source", column.name)
