"""Hold conversations, preferences and feedback."""

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = ("conversation", "preference", "feedback")


def upgrade() -> None:
    _create("conversation", *_conversation())
    _create("preference", *_preference())
    _create("feedback", *_feedback())
    op.add_column("query", sa.Column("conversation_id", sa.Uuid(), nullable=True))
    op.add_column("query", sa.Column("turn", sa.Integer(), nullable=True))
    op.add_column("query", sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True))
    empty = sa.text("'{}'::jsonb")
    op.add_column("query", sa.Column("preferences", postgresql.JSONB(), server_default=empty, nullable=False))
    op.create_foreign_key(
        "query_conversation_id_fkey", "query", "conversation", ["conversation_id"], ["id"], ondelete="CASCADE"
    )
    op.create_unique_constraint("query_conversation_id_turn_key", "query", ["conversation_id", "turn"])


def downgrade() -> None:
    op.drop_constraint("query_conversation_id_turn_key", "query")
    op.drop_constraint("query_conversation_id_fkey", "query")
    for column in ("preferences", "leased_until", "turn", "conversation_id"):
        op.drop_column("query", column)
    for table in reversed(TABLES):
        op.drop_table(table)


def _create(table: str, *columns: sa.schema.SchemaItem) -> None:
    owned = (
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(table, *owned, *columns)
    op.create_index(op.f(f"ix_{table}_tenant_id"), table, ["tenant_id"], unique=False)
    op.execute(f"grant select, insert, update, delete on {table} to {APPLICATION_ROLE}")
    for statement in locks(table):
        op.execute(statement)


def _text(name: str, length: int | None = None, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(length=length), nullable=nullable)


def _conversation() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("created_by", sa.Uuid(), nullable=False),
        _text("title", 200),
        sa.Column("turns", sa.Integer(), nullable=False),
        _text("summary", nullable=False),
        sa.Column("summarised", sa.Integer(), nullable=False),
    )


def _preference() -> tuple[sa.schema.SchemaItem, ...]:
    texts = (_text("tone", 20), _text("language", 35), _text("length", 20))
    return sa.Column("key_id", sa.Uuid(), nullable=False), *texts, sa.UniqueConstraint("tenant_id", "key_id")


def _feedback() -> tuple[sa.schema.SchemaItem, ...]:
    return (
        sa.Column("query_id", sa.Uuid(), nullable=False),
        sa.Column("given_by", sa.Uuid(), nullable=False),
        _text("rating", 10, nullable=False),
        _text("comment"),
        sa.CheckConstraint("rating in ('up', 'down')", name="known_rating"),
        sa.ForeignKeyConstraint(["query_id"], ["query.id"], ondelete="CASCADE"),
        sa.UniqueConstraint("query_id", "given_by"),
    )
