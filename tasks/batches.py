"""Batches: accept every question for every persona, approve or decline them, and count where the items stand."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import sqlalchemy
from sqlalchemy import func, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import InvalidInput, NotFound, TooLarge
from kowai.personas import askable, personas
from kowai.tables.batches import Batch
from kowai.tables.batches import BatchItem as Row
from tasks.outbox import Along
from tasks.receive import UnknownPersona
from tasks.step import own_run, step

MOST_ITEMS = 100_000
OPEN = ("queued", "quoted", "waiting", "running")

ACCEPT = text("""
insert into batch_item (id, tenant_id, batch_id, question_id, ordinal, persona, state, attempts)
select gen_random_uuid(), q.tenant_id, b.id, q.id, q.ordinal, p.persona, 'queued', 0
from batch b join set_question q on q.question_set_id = b.question_set_id
cross join jsonb_array_elements_text(b.personas) as p(persona)
where b.id = :batch
""")
COUNT = text("select count(*) from set_question where question_set_id = :question_set")


class TooManyItems(TooLarge):
    code = "too_many_items"


class Order(NamedTuple):
    """Hold what somebody wants answered."""

    question_set_id: UUID
    personas: Sequence[str]
    dry_run: bool = False
    asked_by: UUID | None = None


class Counts(NamedTuple):
    """Count items by where they stand: accepted = done + refused + dead + in_progress."""

    accepted: int
    done: int
    refused: int
    dead: int
    in_progress: int


@step
async def receive_batch(
    order: Order, tenant_id: UUID, batch_id: UUID | None = None, *, along: Along | None = None
) -> UUID:
    """Store a batch with one item for each question and persona, and return its id; a dry run has no items.

    Raises UnknownPersona, TooManyItems, and NotFound for a set that is not there. The same `batch_id` is stored once.
    """
    batch_id, chosen = batch_id or uuid4(), checked_personas(order.personas, askable())
    values: dict[str, Any] = {**order._asdict(), "personas": chosen, "id": batch_id, "tenant_id": tenant_id}
    async with (await database()).transaction(tenant_id) as connection:
        count = await connection.scalar(COUNT, {"question_set": order.question_set_id}) or 0
        if not count:
            raise NotFound(f"There is no question set {order.question_set_id}.")
        if count * len(chosen) > MOST_ITEMS:
            raise TooManyItems(
                f"{count:,} questions for {len(chosen)} personas are more than {MOST_ITEMS:,}: split them."
            )
        values |= {"accepted": 0, "status": "quoted"} if order.dry_run else {"accepted": count * len(chosen)}
        stored = postgresql.insert(Batch).values(**values).on_conflict_do_nothing()
        if (await connection.execute(stored)).rowcount and not order.dry_run:
            await connection.execute(ACCEPT, {"batch": batch_id})
        if along is not None:
            await along(connection, batch_id)
    return batch_id


def checked_personas(names: Sequence[str], known: Sequence[str] | None = None) -> list[str]:
    """Return the personas, each once, of those `known`. Raises UnknownPersona, and InvalidInput when there is none."""
    known = known or [*personas()]
    for name in names:
        if name not in known:
            raise UnknownPersona(f"There is no persona '{name}'; choose of {', '.join(known)}.")
    if not names:
        raise InvalidInput(f"Choose at least one persona of {', '.join(known)}.")
    return list(dict.fromkeys(names))


@step
async def read_order(batch_id: UUID, tenant_id: UUID) -> Order:
    """Return what a stored batch asks of whom. Raises NotFound."""
    columns: list[Any] = [getattr(Batch, name) for name in Order._fields]
    wanted = sqlalchemy.select(*columns).where(col(Batch.id) == batch_id)
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        raise NotFound("There is no such batch.")
    return Order(*row)


@step
async def begin_batch(batch_id: UUID, tenant_id: UUID) -> bool:
    """Note which run works on the batch, unless it has ended; tell whether it has not. Raises NotFound."""
    begun = {"status": "running", "flow_run_id": own_run() or Batch.flow_run_id}
    changed = update(Batch).where(col(Batch.id) == batch_id, col(Batch.status).in_(OPEN)).values(**begun)
    async with (await database()).transaction(tenant_id) as connection:
        if (await connection.execute(changed)).rowcount:
            return True
        if await connection.scalar(select(col(Batch.id)).where(col(Batch.id) == batch_id)) is None:
            raise NotFound("There is no such batch.")
    return False


async def count_items(connection: AsyncConnection, batch_id: UUID) -> Counts:
    counted = select(col(Row.state), func.count()).where(col(Row.batch_id) == batch_id).group_by(col(Row.state))
    by_state: dict[str, int] = {row[0]: row[1] for row in await connection.execute(counted)}
    done, refused, dead = (by_state.pop(state, 0) for state in ("done", "refused", "dead"))
    in_progress = sum(by_state.values())
    return Counts(done + refused + dead + in_progress, done, refused, dead, in_progress)
