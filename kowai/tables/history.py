"""What was known: the chunks, vectors and postings of versions that have been replaced."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import BigInteger, Column, ForeignKey, Index, PrimaryKeyConstraint, SmallInteger, Text
from sqlmodel import Field

from kowai.tables.rows import Row, moment


def _past_chunk() -> Column[int]:
    return Column(BigInteger, ForeignKey("past_chunk.id", ondelete="CASCADE"), nullable=False)


class PastChunk(Row, table=True):
    """Hold a chunk under the id it had, and when its version was the current one: from, and until before."""

    __table_args__ = (Index("ix_past_chunk_document", "document_id", "version"),)

    id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    document_id: UUID = Field(foreign_key="document.id", ondelete="CASCADE")
    version: int
    ordinal: int
    start_char: int
    end_char: int
    page: int | None = None
    heading_path: str = ""
    text: str
    length: int
    valid_from: datetime = moment(nullable=False)
    valid_until: datetime = moment(nullable=False)


class PastVector(Row, table=True):
    """Hold a replaced chunk's vector; it is compared one by one."""

    __table_args__ = (PrimaryKeyConstraint("chunk_id", "space_id"),)

    chunk_id: int = Field(sa_column=_past_chunk())
    space_id: int = Field(foreign_key="embedding_space.id")
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    embedding: Any = Field(sa_column=Column(HALFVEC(), nullable=False))


class PastPosting(Row, table=True):
    """Count how often a replaced chunk holds a term."""

    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "term", "chunk_id"),
        Index("ix_past_posting_chunk", "chunk_id"),
    )

    tenant_id: UUID
    term: str = Field(sa_column=Column(Text(collation="C")))
    chunk_id: int = Field(sa_column=_past_chunk())
    frequency: int = Field(sa_column=Column(SmallInteger, nullable=False))
    length: int = Field(sa_column=Column(SmallInteger, nullable=False))
