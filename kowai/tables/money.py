"""What a tenant may spend in a day, and what it has."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Column, LargeBinary, Numeric, UniqueConstraint
from sqlmodel import Field

from kowai.tables.rows import Row, TenantRow, moment


def dollars(*, nullable: bool = False) -> Any:
    """Declare an amount in US dollars, to the billionth."""
    return Field(default=None if nullable else Decimal(0), sa_column=Column(Numeric(18, 9), nullable=nullable))


class Budget(Row, table=True):
    """Set one tenant's own limits in US dollars; where one is empty, the block's or what is asked for holds."""

    tenant_id: UUID = Field(foreign_key="tenant.id", ondelete="CASCADE", primary_key=True)
    request_limit: Decimal | None = dollars(nullable=True)
    daily_limit: Decimal | None = dollars(nullable=True)
    approve_above: Decimal | None = dollars(nullable=True)


class Spend(TenantRow, table=True):
    """Sum a tenant's UTC day: `reserved` for calls in flight, `spent` for ended ones, and how many there were."""

    __table_args__ = (UniqueConstraint("tenant_id", "day"),)

    day: date
    reserved: Decimal = dollars()
    spent: Decimal = dollars()
    reservations: int = 0
    settlements: int = 0
    releases: int = 0
    replays: int = 0


class BoughtVector(TenantRow, table=True):
    """Keep a vector that was paid for until it is indexed: little-endian 32-bit floats, by a hash of space and text."""

    __table_args__ = (UniqueConstraint("tenant_id", "text_hash"),)

    text_hash: str = Field(max_length=64)
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    kept_until: datetime = moment(nullable=False)
