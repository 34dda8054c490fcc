"""What documents refer to."""

from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index
from sqlmodel import Field

from kowai.tables.rows import Row


class RelationRow(Row, table=True):
    """Say that characters [start, end) of a document's current version refer to something, maybe another document."""

    __table_args__ = (Index("ix_relation_document", "document_id"), Index("ix_relation_base", "tenant_id", "base"))

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE")
    document_id: UUID = Field(foreign_key="document.id", ondelete="CASCADE")
    kind: str = Field(max_length=20)
    target: str
    path: str | None = Field(default=None, description="Where a document that it names would be.")
    base: str | None = Field(default=None, description="The last part of the path in small letters.")
    start_char: int
    end_char: int
