"""Versions of settings: stored once for each content, live by slot, and found again for each answer at no cost."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database, embedder, language_model
from kowai.errors import Misconfigured, NotFound
from kowai.tables.versions import LiveSetting, SettingVersion
from kowai.types import Question, Value
from kowai.versions import Answering, BadVersion, ModelSetting, SpaceSetting, answering, checked, digest, slots_of
from tasks.step import step

MOST_KNOWN = 1_000
ALONE = text("select pg_advisory_xact_lock(4072004, hashtext(:slot))")

_known: dict[UUID, Value] = {}  # versions never change, so what was read once stays true


async def answering_of(question: Question) -> Answering:
    """Return what the question's versions make of its persona; those that are not known yet are read once."""
    return await answering_by(question.persona, question.versions, question.tenant_id)


async def answering_by(
    persona: str, versions: Mapping[str, UUID], tenant_id: UUID, drafts: Mapping[str, Value] | None = None
) -> Answering:
    """Return what versions, by slot, make of a persona; one that was deleted with a document it quoted is none.

    Drafts, which are stored nowhere, take the place of the versions of their slots.
    """
    wanted = {slot: versions[slot] for slot in slots_of(persona) if slot in versions}
    missing = [version_id for version_id in wanted.values() if version_id not in _known]
    if missing:
        await _read(missing, tenant_id)
    stored = {slot: _known[id] for slot, id in wanted.items() if id in _known}
    drafted = {slot: draft for slot, draft in (drafts or {}).items() if slot in slots_of(persona)}
    return answering(persona, stored | drafted)


async def _read(ids: Iterable[UUID], tenant_id: UUID) -> None:
    columns = (col(SettingVersion.id), col(SettingVersion.slot), col(SettingVersion.content))
    found = select(*columns).where(col(SettingVersion.id).in_(list(ids)))
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(found)).all()
    if len(_known) + len(rows) > MOST_KNOWN:
        _known.clear()
    for row in rows:
        _known[row.id] = checked(row.slot, row.content)


@step
async def receive_version(
    slot: str,
    content: Mapping[str, Any],
    tenant_id: UUID,
    *,
    lineage: Mapping[str, Any] | None = None,
    by: UUID | None = None,
) -> UUID:
    """Store a slot's next version and return its id; a content that is there already is that version.

    It is a candidate: only the gate makes it live. Raises BadVersion.
    """
    setting = await checked_setting(slot, content)
    async with (await database()).transaction(tenant_id) as connection:
        return await store_version(connection, slot, setting, tenant_id, lineage=lineage or {}, by=by)


async def checked_setting(slot: str, content: Mapping[str, Any]) -> Value:
    """Return a setting whose target or embedder is there. Raises BadVersion."""
    setting = checked(slot, content)
    if isinstance(setting, ModelSetting):
        await _check_target(setting.target)
    if isinstance(setting, SpaceSetting):
        await _check_embedder(setting.embedder)
    return setting


async def store_version(
    connection: AsyncConnection,
    slot: str,
    setting: Value,
    tenant_id: UUID,
    *,
    lineage: Mapping[str, Any],
    by: UUID | None = None,
) -> UUID:
    """Store a checked setting as the slot's next version unless it is there already."""
    version_id, hashed = uuid4(), digest(setting)
    of_slot = col(SettingVersion.slot) == slot
    await connection.execute(ALONE, {"slot": f"{tenant_id} {slot}"})
    same = select(col(SettingVersion.id)).where(of_slot, col(SettingVersion.digest) == hashed)
    if known := await connection.scalar(same):
        return known
    latest = await connection.scalar(select(func.max(col(SettingVersion.number))).where(of_slot)) or 0
    row: dict[str, Any] = {"id": version_id, "tenant_id": tenant_id, "slot": slot, "number": latest + 1}
    row |= {"digest": hashed, "content": setting.model_dump(mode="json"), "lineage": dict(lineage)}
    await connection.execute(postgresql.insert(SettingVersion).values(**row, made_by=by))
    return version_id


async def _check_target(name: str) -> None:
    known = [target.name for target in (await language_model()).targets]
    if name not in known:
        raise BadVersion(f"The language-model block has no target '{name}'; it has {', '.join(known) or 'none'}.")


async def _check_embedder(name: str) -> None:
    try:
        await embedder(name)
    except Misconfigured as error:
        raise BadVersion(error.sentence) from error


async def live_versions(connection: AsyncConnection) -> dict[str, UUID]:
    """Return the version that is live in each slot that has one."""
    found = await connection.execute(select(col(LiveSetting.slot), col(LiveSetting.version_id)))
    return {row.slot: row.version_id for row in found}


async def slot_of(connection: AsyncConnection, version_id: UUID) -> str:
    """Return the slot a version is for. Raises NotFound."""
    slot = await connection.scalar(select(col(SettingVersion.slot)).where(col(SettingVersion.id) == version_id))
    if slot is None:
        raise NotFound(f"There is no version {version_id}.")
    return slot
