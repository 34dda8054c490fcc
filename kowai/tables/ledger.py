"""What happened, what it cost, and what still has to leave the database."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, text
from sqlmodel import Field

from kowai.tables.money import dollars
from kowai.tables.rows import Row, TenantRow, document_of, moment


class Event(Row, table=True):
    """Append one fact about a subject; `sequence` orders a tenant's facts and resumes a reader."""

    __table_args__ = (Index("ix_event_subject", "tenant_id", "subject", "sequence"),)

    sequence: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE")
    subject: UUID
    kind: str = Field(max_length=50)
    payload: dict[str, Any] = document_of("{}")
    created_at: datetime | None = moment(nullable=False)


class Outbox(TenantRow, table=True):
    """Hold an effect on another system until it has been delivered."""

    __table_args__ = (Index("ix_outbox_due", "due_at", postgresql_where=text("delivered_at is null")),)

    kind: str = Field(max_length=50)
    payload: dict[str, Any] = document_of("{}")
    attempts: int = 0
    due_at: datetime | None = moment(nullable=False)
    delivered_at: datetime | None = moment()


class ModelCall(TenantRow, table=True):
    """Keep one request to a model: what it may cost, what it did, and the reply, which a repeated request reads again.

    A call is reserved, then settled with its reply, or released when nothing was paid; a reply that was paid for and
    must not be read again (unreadable, abandoned half-way, too late) is void. `cost` is None where the provider did
    not say what it used; `charged` then counts an upper estimate against the day's limit.
    """

    __table_args__ = (
        Index(
            "ix_model_call_request",
            "tenant_id",
            "request_hash",
            unique=True,
            postgresql_where=text("state in ('reserved', 'settled')"),
        ),
        Index("ix_model_call_lease", "tenant_id", "leased_until", postgresql_where=text("state = 'reserved'")),
        Index("ix_model_call_day", "tenant_id", "day"),
        Index("ix_model_call_query", "tenant_id", "query_id", postgresql_where=text("query_id is not null")),
        CheckConstraint("state in ('reserved', 'settled', 'released', 'void')", name="known_call_state"),
    )

    request_hash: str = Field(max_length=64)
    query_id: UUID | None = None
    flow: str | None = Field(default=None, description="The Prefect flow that asked; None: answered in the shim.")
    role: str = Field(max_length=50)
    state: str = Field(default="reserved", max_length=20)
    cause: str | None = Field(default=None, description="Why it was released or is void.")
    day: date = Field(description="The UTC day whose limit it counts against.")
    leased_until: datetime | None = moment()
    target: str | None = Field(default=None, description="The name of the target that was asked last.")
    model: str | None = Field(default=None, description="The name that target serves the model by.")
    fallback: bool = False
    reply: dict[str, Any] | None = document_of("null")
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    shares: dict[str, int] = document_of("{}")
    reserved: Decimal = dollars()
    cost: Decimal | None = dollars(nullable=True)
    charged: Decimal | None = dollars(nullable=True)
    settled_at: datetime | None = moment()


class DeletionCertificate(TenantRow, table=True):
    """Certify that a document and all that quoted it are gone: append-only, each hashed with the one before.

    The name is kept as a hash only. A certificate also keeps a walk or an ingestion under way from bringing the
    document back.
    """

    __table_args__ = (
        Index("ix_deletion_certificate_name", "tenant_id", "name_hash", "created_at"),
        Index("ix_deletion_certificate_newest", "tenant_id", "created_at"),
    )

    document_id: UUID | None = None
    name_hash: str = Field(max_length=64)
    requested_by: UUID | None = Field(default=None, description="The API key that asked.")
    counts: dict[str, Any] = document_of("{}")
    previous_hash: str | None = Field(default=None, max_length=64)
    hash: str = Field(max_length=64)
