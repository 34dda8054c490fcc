"""Read and change how a caller likes to be answered."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.connections import database
from kowai.tables.conversations import Preference
from kowai.types import Preferences

NAMES = tuple(Preferences.model_fields)
COLUMNS = [getattr(Preference, name) for name in NAMES]


async def read_preferences(tenant_id: UUID, caller: UUID) -> Preferences:
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(select(*COLUMNS).where(col(Preference.key_id) == caller))).mappings().first()
    return Preferences.model_validate(dict(row) if row else {})


async def save_preferences(wanted: Preferences, tenant_id: UUID, caller: UUID) -> None:
    values = wanted.model_dump()
    stored = postgresql.insert(Preference).values(tenant_id=tenant_id, key_id=caller, **values)
    changed = stored.on_conflict_do_update(index_elements=["tenant_id", "key_id"], set_=values)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(changed)


def preferences_of(caller: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return, as JSON, what the caller prefers at this moment: a question keeps it, so that it can be made again."""
    pairs = [part for name in NAMES for part in (name, getattr(Preference, name))]
    preferred = select(func.jsonb_build_object(*pairs)).where(col(Preference.key_id) == caller).scalar_subquery()
    return func.coalesce(preferred, func.jsonb_build_object())
