"""Conversations, what their callers prefer, and what they thought of the answers."""

from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import TenantRow


class Conversation(TenantRow, table=True):
    """Hold one caller's conversation; its turns are queries, numbered from 1 in the order they arrived."""

    created_by: UUID = Field(description="The API key that began it and alone may go on with it.")
    title: str | None = Field(default=None, max_length=200)
    turns: int = Field(default=0, description="How many turns have been numbered.")
    summary: str = Field(default="", description="What was said up to the turn `summarised`.")
    summarised: int = 0


class Preference(TenantRow, table=True):
    """Hold how one caller likes to be answered; null is no preference."""

    __table_args__ = (UniqueConstraint("tenant_id", "key_id"),)

    key_id: UUID
    tone: str | None = Field(default=None, max_length=20)
    language: str | None = Field(default=None, max_length=35)
    length: str | None = Field(default=None, max_length=20)


class Feedback(TenantRow, table=True):
    """Hold what one caller thought of one answer."""

    __table_args__ = (
        UniqueConstraint("query_id", "given_by"),
        CheckConstraint("rating in ('up', 'down')", name="known_rating"),
    )

    query_id: UUID = Field(foreign_key="query.id", ondelete="CASCADE")
    given_by: UUID
    rating: str = Field(max_length=10)
    comment: str | None = None
