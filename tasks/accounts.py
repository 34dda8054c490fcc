"""The books of one tenant's model calls: open, reserve, settle, release, each in one statement and one transaction."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from decimal import Decimal
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid4

from blocks.connections import database
from blocks.language_model import LanguageModel
from kowai.errors import BudgetExhausted, Unavailable
from kowai.standing import was_opened
from kowai.types import Usage
from tasks import spending_sql, spool
from tasks.spool import Settlement

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5
SWEEP_SECONDS = 5.0  # a tenant at its limit asks often, and a sweep seldom finds something

_swept: dict[UUID, float] = {}


class Purpose(NamedTuple):
    """Say for whom and for what a model is asked; `most` is what the call may cost in US dollars, beside all limits."""

    tenant_id: UUID
    query_id: UUID | None
    flow: str | None
    role: str
    most: Decimal | None = None

    def allows(self, amount: Decimal) -> bool:
        return self.most is None or amount <= self.most

    def less(self, spent: Decimal) -> "Purpose":
        """Return the same with so much less to spend."""
        return self if self.most is None else self._replace(most=max(self.most - spent, Decimal(0)))


class Stored(NamedTuple):
    """Hold the reply that an identical call was settled with."""

    reply: dict[str, Any]
    target: str
    fallback: bool
    usage: Usage
    cost: Decimal | None


class Opened(NamedTuple):
    """Name the call; `stored` is there when nothing has to be asked."""

    call_id: UUID
    stored: Stored | None = None
    is_reserved: bool = False


class Target(Protocol):
    """Say who is paid."""

    @property
    def name(self) -> str: ...

    @property
    def model(self) -> str: ...


class Ahead(NamedTuple):
    """Hold what the first target can cost at most, and the limits that has to stay within."""

    target: Target
    amount: Decimal
    model: LanguageModel


class Overtaken(Exception):
    """Roll back a call that was opened when the day's limit had no room for it any more."""


async def open_call(digest: str, purpose: Purpose, ahead: Ahead | None = None) -> Opened:
    """Open a call, or wait for the identical one that is under way and return its reply: it is paid once.

    What `ahead` holds is reserved by the same statement, unless that is over a limit: then nothing is reserved yet.
    Raises AccessEnded.
    """
    if ahead is not None and purpose.allows(ahead.amount) and (opened := await _open_reserved(digest, purpose, ahead)):
        return opened
    pause = FIRST_PAUSE
    while True:
        found = await _open_or_find(digest, purpose)
        if isinstance(found, Opened):
            return found
        if found is None:
            continue
        settlement = spool.find(purpose.tenant_id, found.id)
        if settlement is not None:
            await settle(settlement)
        elif found.stale:
            await sweep(purpose.tenant_id)
        else:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _open_reserved(digest: str, purpose: Purpose, ahead: Ahead) -> Opened | None:
    """Open and reserve; None when an identical call is there or a limit is reached. A free call need not be durable."""
    opened, model = Opened(uuid4(), is_reserved=True), ahead.model
    row = {"id": opened.call_id, "digest": digest, "amount": ahead.amount}
    row |= {"request_limit": model.request_limit, "daily_limit": model.daily_limit}
    row |= {"tenant": purpose.tenant_id, "target": ahead.target.name, "model": ahead.target.model}
    row |= purpose._asdict()
    kept = {"durable": ahead.amount > 0, "by_key": True}
    with suppress(Overtaken):
        async with (await database()).transaction(purpose.tenant_id, **kept) as connection:
            if ahead.amount > 0:  # others may reach the day's limit first
                done: Any = await spending_sql.OPEN_RESERVED.row(connection, row)
                if done.opened and not done.counted:
                    raise Overtaken
                return opened if was_opened(done) else None
            opening = spending_sql.OPEN_RESERVED.later(connection, row)
        return opened if was_opened(await opening.fetchone()) else None
    return None


async def _open_or_find(digest: str, purpose: Purpose) -> Any:
    """Return the opened or replayed call, the row of one under way, or None when that has just ended."""
    call_id, key = uuid4(), {"tenant": purpose.tenant_id, "digest": digest}
    row = key | {"id": call_id, "query_id": purpose.query_id, "flow": purpose.flow, "role": purpose.role}
    async with (await database()).transaction(purpose.tenant_id) as connection:
        if was_opened((await connection.execute(spending_sql.OPEN, row)).one()):
            return Opened(call_id)
        found = (await connection.execute(spending_sql.FIND, key)).one_or_none()
        if found is None or found.state == "reserved":
            return found
        await connection.execute(spending_sql.COUNT_REPLAY, key)
    usage = Usage(prompt_tokens=found.prompt_tokens, completion_tokens=found.completion_tokens)
    return Opened(found.id, Stored(found.reply, found.target, found.fallback, usage, found.cost))


async def reserve(
    call_id: UUID, purpose: Purpose, amount: Decimal, *, model: LanguageModel, target: Target, fallback: bool
) -> None:
    """Reserve the worst case for one target. Raises BudgetExhausted, once what dead processes held is given back."""
    if not purpose.allows(amount):
        raise BudgetExhausted(f"This could cost ${amount:.4f}, more than the ${purpose.most:.4f} left for it.")
    values = {"id": call_id, "tenant": purpose.tenant_id, "amount": amount, "fallback": fallback}
    values |= {"request_limit": model.request_limit, "daily_limit": model.daily_limit}
    values |= {"target": target.name, "model": target.model}
    row = await _execute_one(spending_sql.RESERVE, purpose.tenant_id, values)
    if not row.booked and amount <= row.request and await _swept_lately(purpose.tenant_id):
        row = await _execute_one(spending_sql.RESERVE, purpose.tenant_id, values)
    if not row.live:
        raise Unavailable("This process was too slow to keep its reservation; try again.")
    if not row.booked:
        raise BudgetExhausted(_refusal(amount, row.request, row.daily))


async def _swept_lately(tenant_id: UUID) -> bool:
    """Sweep unless that was just done, and tell whether it gave anything back."""
    now = time.monotonic()
    if now - _swept.get(tenant_id, -SWEEP_SECONDS) < SWEEP_SECONDS:
        return False
    _swept[tenant_id] = now
    return await sweep(tenant_id) > 0


def _refusal(amount: Decimal, request: Decimal, daily: Decimal) -> str:
    if amount > request:
        return f"This could cost ${amount:.4f}, more than the ${request:.2f} that one request may: make it shorter."
    return f"This could cost ${amount:.4f}, more than is left of today's ${daily:.2f}: try again tomorrow (UTC)."


async def settle(settlement: Settlement) -> None:
    """Store a spooled reply and what it cost in one transaction; a second time changes nothing.

    What was deleted while the model spoke stays deleted: such a reply is paid and not kept.
    """
    values = settlement.model_dump(include={"state", "cause", "target", "model", "fallback", "cost", "charged"})
    values |= {"id": settlement.call_id, "reply": json.dumps(settlement.reply), **settlement.usage.model_dump()}
    kept = {"durable": settlement.charged > 0, "by_key": True}
    async with (await database()).transaction(settlement.tenant_id, **kept) as connection:
        spending_sql.SHARE.later(connection, {})
        if settlement.vectors:
            spending_sql.BUY.later(connection, settlement.bought() | {"id": settlement.call_id})
        spending_sql.SETTLE.later(connection, values)
    spool.drop(settlement)


async def share_out(call_id: UUID, tenant_id: UUID, shares: Mapping[UUID, int]) -> None:
    """Note how many texts of each item or document a call is about."""
    told = json.dumps({str(of): texts for of, texts in shares.items()})
    await _execute(spending_sql.SHARE_OUT, tenant_id, {"id": call_id, "shares": told})


async def lose(call_id: UUID, tenant_id: UUID, amount: Decimal) -> None:
    """Count as spent what the target asked last may bill, although it did not reply; the call stays open."""
    await _execute(spending_sql.LOSE, tenant_id, {"id": call_id, "lost": uuid4(), "amount": amount})


async def release(call_id: UUID, tenant_id: UUID, cause: str) -> None:
    """Give back what a failed call had reserved."""
    await _execute(spending_sql.RELEASE, tenant_id, {"id": call_id, "tenant": tenant_id, "cause": cause})


async def spoil(call_id: UUID, tenant_id: UUID, cause: str) -> None:
    """Keep what a reply cost, but never read it again."""
    await _execute(spending_sql.SPOIL, tenant_id, {"id": call_id, "cause": cause})


async def sweep(tenant_id: UUID) -> int:
    """Settle the replies a dead process left on this machine, release what is past its lease; return how many calls."""
    left = spool.left(tenant_id)
    for settlement in left:
        await settle(settlement)
    stale = {"id": None, "tenant": tenant_id, "cause": "lease_ran_out"}
    return len(left) + (await _execute_one(spending_sql.RELEASE, tenant_id, stale)).calls


@asynccontextmanager
async def renewed(call_id: UUID, tenant_id: UUID) -> AsyncGenerator[None]:
    """Keep the lease of a call alive for as long as the block runs."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(spending_sql.LEASE_SECONDS / 3)
            with suppress(Unavailable):
                await _execute(spending_sql.RENEW, tenant_id, {"id": call_id})

    renewal = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewal.cancel()


async def _execute(statement: Any, tenant_id: UUID, values: dict[str, Any]) -> None:
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(statement, values)


async def _execute_one(statement: Any, tenant_id: UUID, values: dict[str, Any]) -> Any:
    async with (await database()).transaction(tenant_id) as connection:
        return (await connection.execute(statement, values)).one()
