"""Keep the chunks of replaced versions, and show the knowledge of one day."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC

from kowai.history import VIEWS
from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = ("past_chunk", "past_vector", "past_posting")


def _moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _chunk() -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["chunk_id"], ["past_chunk.id"], ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "past_chunk",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("version", "ordinal", "start_char", "end_char")),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("heading_path", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        _moment("valid_from"),
        _moment("valid_until"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_past_chunk_document", "past_chunk", ["document_id", "version"])
    op.create_index(op.f("ix_past_chunk_tenant_id"), "past_chunk", ["tenant_id"])
    op.create_table(
        "past_vector",
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("space_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("embedding", HALFVEC(), nullable=False),
        _chunk(),
        sa.ForeignKeyConstraint(["space_id"], ["embedding_space.id"]),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("chunk_id", "space_id"),
    )
    op.create_index(op.f("ix_past_vector_tenant_id"), "past_vector", ["tenant_id"])
    op.create_table(
        "past_posting",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.Text(collation="C"), nullable=False),
        sa.Column("chunk_id", sa.BigInteger(), nullable=False),
        sa.Column("frequency", sa.SmallInteger(), nullable=False),
        sa.Column("length", sa.SmallInteger(), nullable=False),
        _chunk(),
        sa.PrimaryKeyConstraint("tenant_id", "term", "chunk_id"),
    )
    op.create_index("ix_past_posting_chunk", "past_posting", ["chunk_id"])
    for table in TABLES:
        for statement in locks(table):
            op.execute(statement)
        op.execute(f"grant select, insert, delete on {table} to {APPLICATION_ROLE}")
    for statement in VIEWS:
        op.execute(statement)
    op.execute(f"grant usage on schema as_of to {APPLICATION_ROLE}")
    op.execute(f"grant select on all tables in schema as_of to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.execute("drop schema as_of cascade")
    for table in reversed(TABLES):
        op.drop_table(table)
