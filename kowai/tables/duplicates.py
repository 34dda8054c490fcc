"""Which documents say almost the same: a sketch of each with its bands, and the document that stands for it."""

from uuid import UUID

from sqlalchemy import BigInteger, Column, LargeBinary, PrimaryKeyConstraint
from sqlmodel import Field

from kowai.tables.rows import Row


class DocumentSketch(Row, table=True):
    """Hold the sketch of a document's `version`; without a leader it stands for itself and for those that name it.

    One that has a likeness and no leader has lost it and is compared again.
    """

    __table_args__ = (PrimaryKeyConstraint("document_id"),)

    document_id: UUID = Field(foreign_key="document.id", ondelete="CASCADE")
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    version: int
    text_hash: str = Field(max_length=64)
    signature: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leader_id: UUID | None = Field(default=None, foreign_key="document.id", ondelete="SET NULL", index=True)
    likeness: float | None = Field(default=None, description="To the leader: 1 is the same words.")


class SketchBand(Row, table=True):
    """Find the sketches that share a band, without foreign keys: a trigger of the sketch's table takes them away.

    Row-level security keeps indexes of arrays from being used.
    """

    __table_args__ = (PrimaryKeyConstraint("tenant_id", "band", "document_id"),)

    tenant_id: UUID
    band: int = Field(sa_column=Column(BigInteger))
    document_id: UUID = Field(index=True)
