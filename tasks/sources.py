"""Sources as they are kept: made, changed, listed, and taken up when they are due."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import sqlalchemy
from pydantic import Field
from sqlalchemy import insert, update
from sqlalchemy.dialects import postgresql
from sqlmodel import col, delete, select

from blocks.connections import database
from blocks.sources import checked_options, kind_of
from kowai.errors import InvalidInput, NotFound
from kowai.labels import Handling
from kowai.schedules import next_due
from kowai.storable import check_storable, storable
from kowai.tables.ingestion import Ingestion, Source
from kowai.types import Value
from tasks.step import step

Policy = Literal["keep", "mark", "remove"]


class Wishes(Value):
    """Say how a source is walked."""

    options: dict[str, Any] = Field(default_factory=dict[str, Any], description="What its kind can be told.")
    handling: Handling = Field(
        default_factory=lambda: Handling.model_validate({}), description="How its documents are handled."
    )
    cron: str | None = Field(None, max_length=100, description="When it is walked; null: every night at two.")
    timezone: str = Field("UTC", max_length=64, description="The time zone of `cron`, such as Europe/Berlin.")
    active: bool = Field(True, description="Whether it is walked by itself.")
    vanished: Policy = Field("keep", description="What becomes of documents it does not hold any more.")


class KeptSource(Wishes):
    """Describe a source, when it was walked last and when it is due."""

    id: UUID
    uri: str
    kind: str
    created_at: datetime
    walked_at: datetime | None
    due_at: datetime


@step
async def remember(uris: Iterable[str], tenant_id: UUID, handling: Mapping[str, Any] | None = None) -> None:
    """Keep sources to be walked again, with their handling if any is told. Raises InvalidInput for what names none."""
    now = datetime.now(UTC)
    told = {"handling": dict(handling)} if handling else {}
    due = {"tenant_id": tenant_id, "due_at": next_due(None, "UTC", now)} | told
    rows = [{"uri": _named(uri), "kind": kind_of(uri)} | due for uri in uris]
    new = postgresql.insert(Source)
    changed = new.on_conflict_do_update(index_elements=["tenant_id", "uri"], set_={**told, "marks": {}})
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(changed if told else new.on_conflict_do_nothing(), rows)


@step
async def keep_source(uri: str, tenant_id: UUID, kind: str | None, wishes: Wishes) -> KeptSource:
    """Keep a new source. Raises InvalidInput for one that is there already or cannot be."""
    kind = kind or kind_of(_named(uri))
    source_id = uuid4()
    row = {"id": source_id, "tenant_id": tenant_id, "uri": uri, "kind": kind, **_columns(kind, wishes)}
    new = postgresql.insert(Source).values(row).on_conflict_do_nothing().returning(col(Source.id))
    async with (await database()).transaction(tenant_id) as connection:
        if await connection.scalar(new) is None:
            raise InvalidInput(f"The source {uri} is kept already: change it instead.")
    return await read_source(source_id, tenant_id)


@step
async def change_source(source_id: UUID, tenant_id: UUID, changes: Mapping[str, Any]) -> KeptSource:
    """Change what is named; a source that is walked or handled in another way is read again as a whole."""
    kept = await read_source(source_id, tenant_id)
    current = kept.model_dump(include=set(Wishes.model_fields))
    columns = _columns(kept.kind, Wishes.model_validate(current | dict(changes)))
    if {"options", "handling"} & changes.keys():
        columns["marks"] = {}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(update(Source).where(col(Source.id) == source_id).values(columns))
    return await read_source(source_id, tenant_id)


@step
async def drop_source(source_id: UUID, tenant_id: UUID) -> None:
    """Walk it no more; its documents stay. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        gone = await connection.execute(delete(Source).where(col(Source.id) == source_id))
    if not gone.rowcount:
        raise NotFound("There is no such source.")


@step
async def take_due(tenant_id: UUID) -> UUID | None:
    """Store an ingestion of every source that is due, and when each is due next; None when none is."""
    now = datetime.now(UTC)
    due = select(col(Source.id), col(Source.uri), col(Source.cron), col(Source.timezone)).where(
        col(Source.active), col(Source.due_at) <= now
    )
    async with (await database()).transaction(tenant_id) as connection:
        sources = (await connection.execute(due.order_by(col(Source.id)).with_for_update(skip_locked=True))).all()
        if not sources:
            return None
        for source in sources:
            next_at = next_due(source.cron, source.timezone, now)
            await connection.execute(update(Source).where(col(Source.id) == source.id).values(due_at=next_at))
        wanted = {"sources": [{"uri": source.uri} for source in sources], "tenant_id": tenant_id}
        return await connection.scalar(insert(Ingestion).values(id=uuid4(), **wanted).returning(col(Ingestion.id)))


async def list_sources(tenant_id: UUID, source_id: UUID | None = None) -> list[KeptSource]:
    """Return every source, or the one of that id, by URI."""
    columns = [getattr(Source, name) for name in KeptSource.model_fields]
    wanted = sqlalchemy.select(*columns).order_by(col(Source.uri))
    if source_id is not None:
        wanted = wanted.where(col(Source.id) == source_id)
    async with (await database()).transaction(tenant_id) as connection:
        return [KeptSource(**row) for row in (await connection.execute(wanted)).mappings()]


async def read_source(source_id: UUID, tenant_id: UUID) -> KeptSource:
    """Return one source. Raises NotFound."""
    for source in await list_sources(tenant_id, source_id):
        return source
    raise NotFound("There is no such source.")


async def find_sources(uris: Sequence[str], tenant_id: UUID) -> dict[str, Source]:
    """Return those of these sources that are kept, by URI."""
    columns = [getattr(Source, name) for name in Source.model_fields]
    wanted = sqlalchemy.select(*columns).where(col(Source.uri).in_(uris))
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(wanted)).mappings()
        return {row["uri"]: Source.model_construct(**row) for row in rows}


async def remembered_sources(tenant_id: UUID) -> list[str]:
    """Return every source that is walked by itself."""
    active = select(col(Source.uri)).where(col(Source.active)).order_by(col(Source.created_at))
    async with (await database()).transaction(tenant_id) as connection:
        return list(await connection.scalars(active))


def _columns(kind: str, wishes: Wishes) -> dict[str, Any]:
    columns = wishes.model_dump(exclude={"handling"})
    check_storable(columns)
    columns["options"] = checked_options(kind, wishes.options)
    columns["due_at"] = next_due(wishes.cron, wishes.timezone, datetime.now(UTC))
    return columns | {"handling": wishes.handling.told()}


def _named(uri: str) -> str:
    if not uri.strip():
        raise InvalidInput("A source has no name: give a folder, a glob, a file or a URL.")
    return storable(uri)
