"""Build a vector space beside the current one, compare both, switch, and drop what is no longer used."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database, embedder
from blocks.embedder import Space
from kowai import spaces
from kowai.errors import BudgetExhausted, KowaiError, Misconfigured, NotFound, PriceUnknown, SpaceUnready
from kowai.space_evaluation import Asked, Comparison, recall_of
from kowai.tenancy import ENTER
from tasks import metered
from tasks.claim import own_number
from tasks.search_sql import search
from tasks.spaces import StoredSpace, current_space
from tasks.step import step
from tasks.vectors import bare, clothe, embedded, give_vectors

QUESTIONS = 100  # of a tenant, the latest ones
PASSAGES = 8
AT_ONCE = 5_000  # chunks embedded in one task
CLOSING = 256  # chunks that may be embedded while nothing can be indexed
GRACE_SECONDS = 10.0  # for searches that have begun
FORGOTTEN = 20_000  # vectors deleted in one transaction
BUILT_ALREADY = "This vector space is being built already; searches move to it when it is done."
GIVEN_UP = "This vector space was given up while it was built: begin it again by `kowai reindex`."
BEING_BUILT = "Another vector space is being built: finish it by `kowai reindex` with its embedder first."
NOT_KEPT = (
    f"The vector space before it is kept for {spaces.KEPT_DAYS} days and no longer there: build it again by `kowai "
    "reindex --embedder NAME`."
)


@step
async def begin_space(block: str) -> StoredSpace:
    """Return the space of an embedder block, made if there was none. Raises SpaceUnready, and NotFound for no block.

    Another that was being built by a run that is gone stands in nobody's way.
    """
    try:
        wanted = (await embedder(block)).space
    except Misconfigured as error:
        raise NotFound(error.sentence) from error
    model = {"model": wanted.model, "dimensions": wanted.dimensions, "embedder": block}
    try:
        async with (await database()).platform_transaction() as connection:
            await connection.execute(text(spaces.LOCK))
            await connection.execute(text(spaces.ABANDON), {"waiting_too": True})
            if await _same(connection, model) is None:
                await connection.execute(text(spaces.MAKE), model)
            made = await _made(connection, model)
            if await connection.scalar(text(spaces.IS_HELD), {"id": made.id}):
                raise SpaceUnready(BUILT_ALREADY)
            await connection.execute(text(spaces.BUILD_AGAIN), model | {"id": made.id})
            return await _made(connection, model)
    except IntegrityError as error:
        raise SpaceUnready(BEING_BUILT) from error


@step
async def restore_space() -> StoredSpace:
    """Begin to make the space before the current one current again. Raises SpaceUnready where that cannot be."""
    try:
        async with (await database()).platform_transaction() as connection:
            await connection.execute(text(spaces.LOCK))
            await connection.execute(text(spaces.ABANDON), {"waiting_too": True})
            row = (await connection.execute(text(spaces.KEPT))).one_or_none()
            if row is None:
                raise SpaceUnready(NOT_KEPT)
            kept = StoredSpace(*row)
            if await _space_of(kept.embedder) != kept.space:
                raise SpaceUnready(f"The embedder '{kept.embedder}' no longer makes the vectors of {kept.model}.")
            await connection.execute(text(spaces.RESTORE), {"id": kept.id})
    except IntegrityError as error:
        raise SpaceUnready(BEING_BUILT) from error
    return kept


async def _space_of(block: str) -> Space | None:
    try:
        return (await embedder(block)).space
    except Misconfigured:
        return None


async def _same(connection: AsyncConnection, model: dict[str, Any]) -> StoredSpace | None:
    row = (await connection.execute(text(spaces.SAME), model)).one_or_none()
    return StoredSpace(*row) if row else None


async def _made(connection: AsyncConnection, model: dict[str, Any]) -> StoredSpace:
    found = await _same(connection, model)
    assert found is not None
    return found


@step
async def fill_space(tenant_id: UUID, space: StoredSpace) -> int | None:
    """Give some of a tenant's chunks, past ones too, their vectors in the space; return how many, 0 when all have one.

    None when the tenant's money does not last. What is there already is left alone, so that an interrupted build goes
    on where it stopped. Raises SpaceUnready where the space was given up, or is another's to build.
    """
    await _hold(space)
    filled = 0
    for home in spaces.HOMES:
        after: int | None = 0
        while after is not None and filled < AT_ONCE:
            try:
                count, after = await give_vectors(tenant_id, space, home, after)
            except BudgetExhausted as error:
                return _waits(error)
            filled += count
    return filled


def _waits(error: BudgetExhausted) -> None:
    """Let what cannot be paid today wait; a price that is not known will be no better known tomorrow."""
    if isinstance(error, PriceUnknown):
        raise error


async def _hold(space: StoredSpace) -> None:
    """Show that this run, if it is at work, builds the space, so that nobody takes it for abandoned."""
    by = await own_number()
    if by is None:
        return
    async with (await database()).platform_transaction() as connection:
        held = (await connection.execute(text(spaces.HOLD), {"id": space.id, "by": by})).rowcount
    if not held:
        raise SpaceUnready(GIVEN_UP)


@step
async def compare_spaces(tenant_ids: Sequence[UUID], space: StoredSpace, allowed_loss: float) -> bool | None:
    """Ask stored questions in both spaces and store what share of their answers' citations each of them finds.

    Returns whether the new space loses no more than is allowed; None when a tenant's money does not last to ask.
    """
    now, found = await current_space(), Comparison()
    for tenant_id in tenant_ids:
        asked = await _asked(tenant_id)
        old = await _recalls(asked, tenant_id, now, trial=False) if now else []
        try:
            found = found.with_tenant(old, await _recalls(asked, tenant_id, space, trial=True))
        except BudgetExhausted as error:
            return _waits(error)
    async with (await database()).platform_transaction() as connection:
        told = {"id": space.id, "evaluation": json.dumps(found.told(allowed_loss))}
        await connection.execute(text(spaces.EVALUATED), told)
    return found.accepts(allowed_loss)


async def _asked(tenant_id: UUID) -> list[Asked]:
    async with (await database()).transaction(tenant_id) as connection:
        rows = await connection.execute(text(spaces.ASKED), {"limit": QUESTIONS})
        return [Asked(question, tuple(citations)) for question, citations in rows.all()]


async def _recalls(asked: Sequence[Asked], tenant_id: UUID, space: StoredSpace, *, trial: bool) -> list[float]:
    """Return the recall of each question; nothing when the space's embedder is out of order."""
    questions = [one.question for one in asked]
    try:
        vectors, *_ = await metered.embed(questions, tenant_id, purpose="query", block=space.embedder)
    except KowaiError:
        if trial:
            raise
        return []
    recalls: list[float] = []
    for one, vector in zip(asked, vectors, strict=True):
        async with (await database()).transaction(tenant_id) as connection:
            model, row = space.model, vector.tolist()
            passages = await search(connection, one.question, row, space=model, k=PASSAGES, trial=trial)
        recalls.append(recall_of(one, passages))
    return recalls


@step
async def switch_space(tenant_ids: Sequence[UUID], space: StoredSpace, patience: int = 0) -> bool:
    """Make the space the current one in one transaction in which nothing can be indexed.

    The last few chunks get their vectors in it; where more are missing, or they cannot be paid, returns False: fill the
    space again. Each time, which `patience` counts, twice as many are few.
    """
    try:
        return await _switched(tenant_ids, space, CLOSING * 2**patience)
    except BudgetExhausted:
        return False


async def _switched(tenant_ids: Sequence[UUID], space: StoredSpace, limit: int) -> bool:
    async with (await database()).transaction(tenant_ids[0]) as connection:
        await connection.execute(text(spaces.LOCK))
        for tenant_id in tenant_ids:
            await connection.execute(text(ENTER), {"id": str(tenant_id)})
            for home in spaces.HOMES:
                rows = await bare(connection, space, home, 0, limit + 1)
                if len(rows) > limit:
                    return False
                if rows:
                    await clothe(connection, space, home, await embedded(rows, space, tenant_id))
                limit -= len(rows)
        if not await connection.scalar(text(spaces.IS_BUILDING), {"id": space.id}):
            raise SpaceUnready(GIVEN_UP)
        for statement in spaces.SWITCH:
            await connection.execute(text(statement), {"id": space.id})
    return True


@step
async def drop_spaces(tenant_ids: Sequence[UUID], *, unfinished: bool = True) -> int:
    """Delete the vectors of spaces that are no longer current, and then the spaces; return how many.

    The one that was current last is kept for a while, and so is, unless `unfinished` ones go, what failed half-way.
    """
    async with (await database()).platform_transaction() as connection:
        old = list(await connection.scalars(text(spaces.DROPPING), {"unfinished": unfinished}))
    if old:
        await asyncio.sleep(GRACE_SECONDS)
    for space_id in old:
        async with (await database()).platform_transaction() as connection:
            await connection.execute(text(spaces.DROP_INDEX_OF), {"id": space_id})
        for tenant_id in tenant_ids:
            await _forget(tenant_id, space_id)
        async with (await database()).platform_transaction() as connection:
            await connection.execute(text(spaces.GONE), {"id": space_id})
    return len(old)


async def _forget(tenant_id: UUID, space_id: int) -> None:
    for _, vectors in spaces.HOMES:
        deleted = FORGOTTEN
        while deleted == FORGOTTEN:
            async with (await database()).transaction(tenant_id) as connection:
                wanted = {"space": space_id, "limit": FORGOTTEN}
                deleted = (await connection.execute(text(spaces.forget(vectors)), wanted)).rowcount
