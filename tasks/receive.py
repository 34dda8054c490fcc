"""Store what somebody asked for and hand back its id: from here on only ids travel."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

from prefect.context import FlowRunContext
from sqlalchemy import Interval, bindparam, func, insert
from sqlalchemy.dialects import postgresql
from sqlmodel import col, select

from blocks.compiled import Compiled
from blocks.connections import database
from kowai.conversations import standalone
from kowai.errors import InvalidInput, NotFound
from kowai.filters import checked_filters
from kowai.personas import askable
from kowai.questions import checked_question
from kowai.tables.identity import Tenant
from kowai.tables.ingestion import Ingestion
from kowai.tables.queries import Query
from kowai.types import Turn
from tasks import event_log
from tasks.conversation_turns import LEASE, QUEUED, take_turn
from tasks.outbox import Along
from tasks.preferences import preferences_of
from tasks.step import step

STORE = Compiled(
    insert(Query).values(
        leased_until=func.now() + bindparam("lease", type_=Interval), preferences=preferences_of(bindparam("caller"))
    ),
    *("id", "tenant_id", "text", "history", "standalone", "status", "persona", "filters", "asked_by", "streamed"),
    *("conversation_id", "turn"),
)


class UnknownPersona(InvalidInput):
    code = "unknown_persona"


class Inquiry(NamedTuple):
    """Hold a question before it is stored. `asked_by` is the API key's id."""

    text: str
    persona: str = "assistant"
    filters: Mapping[str, Any] = MappingProxyType({})
    asked_by: UUID | None = None
    history: tuple[Turn, ...] = ()
    streamed: bool = False
    conversation_id: UUID | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns of the stored question. Raises InvalidInput for one that cannot be asked."""
        text = checked_question(self.text)
        if self.persona not in askable():
            raise UnknownPersona(f"There is no persona '{self.persona}'; choose one of {', '.join(askable())}.")
        checked_filters(self.filters)
        history = [turn.model_dump() for turn in self.history]
        understood = {"text": text, "history": history, "standalone": standalone(text, self.history)}
        return understood | {
            "status": "queued",
            "persona": self.persona,
            "filters": dict(self.filters),
            "asked_by": self.asked_by,
            "streamed": self.streamed,
        }


@step
async def receive_query(inquiry: Inquiry, tenant_id: UUID, *, durable: bool = True, along: Along | None = None) -> UUID:
    """Store a question as queued. Raises InvalidInput for one that cannot be asked.

    A question whose asker waits for the answer need not be durable before it is answered.
    """
    query_id = uuid4()
    row: dict[str, Any] = inquiry.row() | {"id": query_id, "tenant_id": tenant_id, "turn": None}
    row |= {"conversation_id": inquiry.conversation_id, "caller": inquiry.asked_by}
    row |= {"lease": QUEUED if durable else LEASE}
    async with (await database()).transaction(tenant_id, durable=durable, by_key=True) as connection:
        if inquiry.conversation_id is not None:
            row["turn"] = await take_turn(connection, inquiry.conversation_id, inquiry.asked_by, inquiry.text)
        STORE.later(connection, row)
        if inquiry.streamed:
            await event_log.append(connection, query_id, tenant_id, "query.queued")
        if along is not None:
            await along(connection, query_id)
    return query_id


@step
async def receive_ingestion(sources: list[dict[str, Any]], tenant_id: UUID, *, along: Along | None = None) -> UUID:
    """Store a request to ingest `sources` and return its id; a flow run that is started again goes on with its own."""
    run = FlowRunContext.get()
    asked = f"{tenant_id} {json.dumps(sources, sort_keys=True)}"
    ingestion_id = uuid5(run.flow_run.id, asked) if run and run.flow_run else uuid4()
    row = {"id": ingestion_id, "tenant_id": tenant_id, "sources": sources}
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(postgresql.insert(Ingestion).values(row).on_conflict_do_nothing())
        if along is not None:
            await along(connection, ingestion_id)
    return ingestion_id


@step
async def find_all_tenants() -> list[UUID]:
    """Return the ids of all tenants."""
    async with (await database()).connection() as connection:
        return list(await connection.scalars(select(col(Tenant.id)).order_by(col(Tenant.id))))


@step
async def find_tenant(name: str) -> UUID:
    """Return the id of the tenant people call `name`. Raises NotFound."""
    async with (await database()).connection() as connection:
        tenant_id = await connection.scalar(select(col(Tenant.id)).where(col(Tenant.name) == name))
    if tenant_id is None:
        raise NotFound(f"There is no tenant '{name}'.")
    return tenant_id
