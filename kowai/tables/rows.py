"""What every row is: an id, the tenant that owns it, and the moment it was made."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Column, Computed, DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

NOW = text("now()")


def moment(*, nullable: bool = True) -> Any:
    """Declare an aware UTC time; one that may not be null is set by the database."""
    default = None if nullable else NOW
    return Field(
        default=None, sa_type=DateTime(timezone=True), nullable=nullable, sa_column_kwargs={"server_default": default}
    )  # pyright: ignore[reportCallIssue, reportArgumentType]


def document_of(default: str) -> Any:
    """Declare a JSONB column with `default` as its literal."""
    return Field(sa_column=Column(JSONB, nullable=False, server_default=text(f"'{default}'::jsonb")))


def computed(expression: str, kind: Any = Text) -> Any:
    """Declare a column that the database computes from the row's others."""
    return Field(default=None, sa_column=Column(kind, Computed(expression, persisted=True), nullable=True))


class Row(SQLModel):
    """Name the table as the class is named: ApiKey is api_key, and AnswerRow, whose noun a value has, is answer."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Row")).lower()


class TenantRow(Row):
    """Belong to one tenant; row-level security compares `tenant_id` with the transaction's tenant."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", index=True)
    created_at: datetime | None = moment(nullable=False)
