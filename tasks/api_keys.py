"""A tenant's API keys: made and shown once, rotated with an overlap, revoked."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.errors import InvalidInput, NotFound
from kowai.keys import format_key, parse_key
from kowai.tables.identity import ApiKey
from kowai.types import Value

NAMES = ("id", "name", "role", "scopes", "created_at", "created_by", "last_used_at", "expires_at", "revoked_at")
COLUMNS: list[Any] = [getattr(ApiKey, name) for name in NAMES]
SHOWN = select(*COLUMNS)


class KeyView(Value):
    """Show a key without its secret, which nobody can show again."""

    id: UUID
    name: str
    role: str
    scopes: list[str] | None
    created_at: datetime
    created_by: UUID | None
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKey(NamedTuple):
    """Say what a key is to be called, what it may do and until when."""

    name: str
    role: str
    scopes: Sequence[str] | None
    created_by: UUID | None
    expires_at: datetime | None


async def make_key(new: NewKey, tenant_id: UUID) -> tuple[KeyView, str]:
    """Store a new key; return it with its secret, once."""
    async with (await database()).transaction(tenant_id) as connection:
        return await _store(connection, new, tenant_id)


async def list_keys(tenant_id: UUID, limit: int = 1000) -> list[KeyView]:
    async with (await database()).transaction(tenant_id) as connection:
        rows = await connection.execute(SHOWN.order_by(col(ApiKey.created_at).desc()).limit(limit))
        return [KeyView.model_validate(row, from_attributes=True) for row in rows]


async def find_key(key_id: UUID, tenant_id: UUID) -> KeyView:
    """Return one key of this tenant. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(SHOWN.where(col(ApiKey.id) == key_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such key.")
    return KeyView.model_validate(row, from_attributes=True)


async def rotate_key(old: KeyView, overlap: timedelta, by: UUID, tenant_id: UUID) -> tuple[KeyView, str]:
    """Make a successor that may do the same; the old key works on for the overlap, and not a moment longer.

    Raises InvalidInput for a key that has ended.
    """
    works = (col(ApiKey.revoked_at).is_(None), func.coalesce(col(ApiKey.expires_at) > func.now(), True))
    until = func.least(col(ApiKey.expires_at), datetime.now(UTC) + overlap)  # least() passes over null
    ending = update(ApiKey).where(col(ApiKey.id) == old.id, *works).values(expires_at=until)
    async with (await database()).transaction(tenant_id) as connection:
        made = await _store(connection, NewKey(old.name, old.role, old.scopes, by, old.expires_at), tenant_id)
        if not (await connection.execute(ending)).rowcount:
            raise InvalidInput("This key has ended: make a new one.")
    return made


async def revoke_key(key_id: UUID, tenant_id: UUID) -> KeyView:
    """End a key at once. Raises NotFound."""
    ending = update(ApiKey).values(revoked_at=func.coalesce(col(ApiKey.revoked_at), func.now()))
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(ending.where(col(ApiKey.id) == key_id))
    return await find_key(key_id, tenant_id)


async def _store(connection: AsyncConnection, new: NewKey, tenant_id: UUID) -> tuple[KeyView, str]:
    secret = format_key(tenant_id, secrets.token_urlsafe(32))
    row = {**new._asdict(), "id": uuid4(), "tenant_id": tenant_id, "digest": parse_key(secret).digest}
    stored = (await connection.execute(insert(ApiKey).values(**row).returning(*COLUMNS))).one()
    return KeyView.model_validate(stored, from_attributes=True), secret
