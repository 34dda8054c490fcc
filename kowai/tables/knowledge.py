"""What is known: documents, their versions, the chunks of the current one and their vectors."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pgvector.sqlalchemy import HALFVEC
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, document_of, moment


class EmbeddingSpace(Row, table=True):
    """Name one vector space: vectors of two spaces are never compared, and one space is current."""

    __table_args__ = (
        UniqueConstraint("model", "dimensions"),
        CheckConstraint("state in ('current', 'building', 'retired', 'dropping')", name="known_space_state"),
        *(
            Index(f"ix_embedding_space_{state}", "state", unique=True, postgresql_where=text(f"state = '{state}'"))
            for state in ("current", "building")
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    public_id: UUID | None = Field(
        default=None, unique=True, nullable=False, sa_column_kwargs={"server_default": text("gen_random_uuid()")}
    )
    model: str = Field(max_length=200)
    dimensions: int
    normalised: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    embedder: str = Field(
        default="kowai",
        max_length=100,
        sa_column_kwargs={"server_default": "kowai"},
        description="The embedder block whose vectors it holds.",
    )
    state: str = Field(default="current", max_length=20, sa_column_kwargs={"server_default": "current"})
    evaluation: dict[str, Any] = document_of("{}")
    created_at: datetime | None = moment(nullable=False)
    begun_at: datetime | None = moment(nullable=False)
    built_by: int | None = Field(default=None, description="The number of the run that builds it, for at_work().")
    retired_at: datetime | None = moment()  # since when another one is current; null for one that never was


class Document(TenantRow, table=True):
    """Name a document by the id its owner knows it by and hold its current version number."""

    __table_args__ = (UniqueConstraint("tenant_id", "external_id"),)

    external_id: str
    origin: str = Field(description="Where it came from: a path, a URL, or 'upload'.")
    title: str | None = None
    media_type: str = Field(max_length=100)
    content_type: str = Field(default="general", max_length=20, sa_column_kwargs={"server_default": "general"})
    language: str | None = Field(default=None, max_length=3, description="ISO 639 code; null is unknown.")
    details: dict[str, Any] = document_of("{}")
    version: int = 1
    content_hash: str = Field(max_length=64)
    validators: dict[str, Any] = document_of("{}")
    updated_at: datetime | None = moment(nullable=False)
    vanished_at: datetime | None = moment()


class DocumentVersion(TenantRow, table=True):
    """Keep the text that citations of this version count characters of."""

    __table_args__ = (UniqueConstraint("document_id", "version"),)

    document_id: UUID = Field(foreign_key="document.id", ondelete="CASCADE")
    version: int
    content_hash: str = Field(max_length=64)
    title: str | None = None
    text: str
    pages: list[Any] = document_of("[]")
    layout: list[str] | None = Field(
        default=None, sa_column=Column(ARRAY(Text)), description="Where the lines of each page stand; null is unknown."
    )


class ChunkRow(Row, table=True):
    """Hold characters [start, end) of a document's current version."""

    __table_args__ = (Index("ix_chunk_document", "document_id", "ordinal"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    document_id: UUID = Field(foreign_key="document.id", ondelete="CASCADE")
    version: int
    ordinal: int
    start_char: int
    end_char: int
    page: int | None = None
    heading_path: str = ""
    text: str
    length: int = Field(description="Indexed words, as BM25 counts a chunk's length.")


class ChunkVector(Row, table=True):
    """Hold a chunk's vector in one space; each space has its own HNSW index of those that are `in_graph`."""

    __table_args__ = (
        PrimaryKeyConstraint("chunk_id", "space_id"),
        Index("ix_chunk_vector_outside", "tenant_id", "space_id", postgresql_where=text("not in_graph")),
        Index("ix_chunk_vector_digest", "tenant_id", "digest"),
    )

    chunk_id: int = Field(sa_column=Column(BigInteger))
    space_id: int = Field(foreign_key="embedding_space.id")
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    embedding: Any = Field(sa_column=Column(HALFVEC(), nullable=False))
    in_graph: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    digest: UUID | None = Field(default=None, description="What its text is found again by; null is unknown.")


class Posting(Row, table=True):
    """Count how often a chunk of `length` words holds a term: the index that BM25 reads, without foreign keys."""

    __table_args__ = (
        PrimaryKeyConstraint("tenant_id", "term", "chunk_id", postgresql_include=["frequency", "length"]),
        Index("ix_posting_chunk", "chunk_id"),
    )

    tenant_id: UUID
    term: str = Field(sa_column=Column(Text(collation="C")))
    chunk_id: int = Field(sa_column=Column(BigInteger))
    frequency: int = Field(sa_column=Column(SmallInteger, nullable=False))
    length: int = Field(sa_column=Column(SmallInteger, nullable=False))


class TermCount(Row, table=True):
    """Add to the number of chunks that hold a term; the empty term is held by every chunk, once for each word.

    A term's count is the sum of its rows: a writer that finds a row locked adds one, the next writer folds them.
    """

    __table_args__ = (Index("ix_term_count_term", "tenant_id", "term"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    tenant_id: UUID
    term: str = Field(sa_column=Column(Text(collation="C"), nullable=False))
    chunks: int = Field(sa_column=Column(BigInteger, nullable=False))
    occurrences: int = Field(sa_column=Column(BigInteger, nullable=False))
