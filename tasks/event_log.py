"""The event log: facts about a subject, in the order they were told; every door that streams reads it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy
from sqlalchemy import String, Uuid, bindparam, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate
from sqlmodel import col, select

from blocks.compiled import Compiled
from blocks.connections import database
from kowai.errors import NotFound, Unavailable
from kowai.tables.ledger import Event
from kowai.tables.queries import Query

CHANNEL = "kowai_event"
QUIET_SECONDS = 1.0  # how long a reader waits at most before it looks for itself
FINAL = frozenset(
    {
        *("query.done", "query.refused", "query.failed", "query.stopped"),
        *("team.done", "team.partial", "team.refused", "team.failed", "team.cancelled"),
    }
)

NOTHING: Mapping[str, Any] = MappingProxyType({})
NOTIFY = Compiled(text("select pg_notify(:channel, cast(cast(:subject as uuid) as text))"))
TELL = Compiled(
    text("""
with told as (
  insert into event (tenant_id, subject, kind, payload)
  select :tenant, cast(:subject as uuid), kind, payload
  from unnest(cast(:kinds as text[]), cast(:payloads as jsonb[])) with ordinality as fact (kind, payload, place)
  where exists (select from query where id = :subject)
  order by place
)
select pg_notify(:channel, cast(cast(:subject as uuid) as text))
""")
)
APPEND = Compiled(insert(Event), "tenant_id", "subject", "kind", "payload")
READ = Compiled(
    text("""
select sequence, kind, payload from event
where tenant_id = :tenant and subject = :subject and sequence > :after order by sequence
""")
)
THERE = Compiled(
    text("""
select 1 where exists (select from query where id = :subject) or exists (select from team where id = :subject)
""")
)


class Fact(NamedTuple):
    sequence: int
    kind: str
    payload: Mapping[str, Any]


async def tell(subject: UUID, tenant_id: UUID, *told: tuple[str, Mapping[str, Any]]) -> None:
    """Append facts about a question, a kind and a payload each, and wake their readers, by one statement.

    They may be lost with the machine, as an unfinished answer is; of a question that is deleted nothing is told.
    """
    kinds, payloads = [kind for kind, _ in told], [json.dumps(dict(payload)) for _, payload in told]
    facts = {"channel": CHANNEL, "tenant": tenant_id, "subject": subject, "kinds": kinds, "payloads": payloads}
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        TELL.later(connection, facts)


async def announce(subject: UUID, tenant_id: UUID) -> None:
    """Wake the readers of a subject whose last fact was written by a transaction that wakes nobody.

    PostgreSQL lets transactions that notify commit one at a time, so those that wait for the disk should not.
    """
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        notify(connection, subject)


def notify(connection: AsyncConnection, subject: UUID) -> None:
    """Wake a subject's readers when the transaction commits."""
    NOTIFY.later(connection, {"channel": CHANNEL, "subject": subject})


async def append(
    connection: AsyncConnection, subject: UUID, tenant_id: UUID, kind: str, payload: Mapping[str, Any] = NOTHING
) -> None:
    """Append one fact in the transaction of what it reports."""
    fact = {"tenant_id": tenant_id, "subject": subject, "kind": kind, "payload": dict(payload)}
    APPEND.later(connection, fact)


def appending(change: ReturningUpdate[Any]) -> Compiled:
    """Return what carries out an update that returns its subject's id, and appends one fact about it of a `kind`.

    It returns a row where something was changed.
    """
    changed = change.cte("changed")
    fact = sqlalchemy.select(bindparam("tenant", type_=Uuid()), changed.c.id, bindparam("kind", type_=String()))
    appended = insert(Event).from_select(["tenant_id", "subject", "kind"], fact)
    return Compiled(appended.returning(col(Event.sequence)))


async def read_facts(subject: UUID, tenant_id: UUID, after: int = 0) -> list[Fact]:
    """Return the subject's facts behind sequence `after`."""
    async with (await database()).transaction(tenant_id) as connection:
        found = READ.later(connection, {"tenant": tenant_id, "subject": subject, "after": after})
    return [Fact(*row) for row in await found.fetchall()]


async def find_question(sequence: int, tenant_id: UUID, asked_by: UUID) -> UUID | None:
    """Return which question this fact is about, if it is one that this caller has asked."""
    mine = (col(Event.tenant_id) == tenant_id, col(Event.sequence) == sequence, col(Query.asked_by) == asked_by)
    found = select(col(Query.id)).join(Event, col(Event.subject) == col(Query.id)).where(*mine)
    async with (await database()).transaction(tenant_id) as connection:
        return await connection.scalar(found)


async def check_subject(subject: UUID, tenant_id: UUID) -> None:
    """Raise NotFound unless there is a question or a team that facts are told of."""
    async with (await database()).transaction(tenant_id, by_key=True) as connection:
        found = THERE.later(connection, {"subject": subject})
    if await found.fetchone() is None:
        raise NotFound("This has been deleted.")


class Readers:
    """Wake this process's readers: one database connection listens for all of them."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    async def serve(self) -> None:
        """Listen for as long as the process lives; while the database is away readers look for themselves."""
        while True:
            with suppress(Unavailable):
                async with (await database()).listening(CHANNEL) as notices:
                    async for subject in notices:
                        for woken in self._waiting.get(UUID(subject), ()):
                            woken.set()
            await asyncio.sleep(QUIET_SECONDS)

    async def follow(self, subject: UUID, tenant_id: UUID, after: int = 0) -> AsyncGenerator[list[Fact]]:
        """Yield what is told behind sequence `after` until the end of the story; an empty list is a sign of life."""
        with self._waking(subject) as woken:
            while True:
                woken.clear()
                facts = await read_facts(subject, tenant_id, after)
                yield facts
                if any(fact.kind in FINAL for fact in facts):
                    return
                after = facts[-1].sequence if facts else after
                with suppress(TimeoutError):
                    async with asyncio.timeout(QUIET_SECONDS):
                        await woken.wait()

    @contextmanager
    def _waking(self, subject: UUID) -> Generator[asyncio.Event]:
        woken = asyncio.Event()
        self._waiting.setdefault(subject, set()).add(woken)
        try:
            yield woken
        finally:
            self._waiting[subject].discard(woken)
            if not self._waiting[subject]:
                del self._waiting[subject]
