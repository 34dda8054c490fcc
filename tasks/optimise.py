"""Optimise a persona's prompt: keep the wish, search within its budget, and keep what was found as a version."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.errors import KowaiError, NotFound
from kowai.optimisation import (
    LEAST_CASES,
    LEAST_GAIN,
    Gain,
    Lineage,
    SuiteTooSmall,
    artefact_of,
    data_hash,
    half_of,
    is_telling,
)
from kowai.optimisers import optimiser_named
from kowai.standing import AccessEnded
from kowai.suites import Case, Limits
from kowai.tables.versions import Optimisation
from kowai.versions import PromptSetting
from tasks.batches import checked_personas
from tasks.limited_engine import Purse
from tasks.outbox import Along
from tasks.prompt_search import Lessons, lessons_of, search
from tasks.step import step
from tasks.suites import read_suite
from tasks.versions import answering_by, live_versions, store_version

FIND = text("select * from optimisation where id = :id")


class Wish(NamedTuple):
    """Say whose prompt is to become better at what, by which optimiser and for how much."""

    persona: str
    suite_id: UUID
    optimiser: str
    limits: Limits
    requested_by: UUID | None = None


class Improved(NamedTuple):
    """Name the version that was found and the suite whose other half decides."""

    version_id: UUID
    suite_id: UUID


@step
async def receive_optimisation(
    wish: Wish, tenant_id: UUID, optimisation_id: UUID | None = None, *, along: Along | None = None
) -> UUID:
    """Store the wish for a better prompt; the same id is stored once.

    Raises UnknownPersona, UnknownOptimiser and SuiteTooSmall.
    """
    optimisation_id = optimisation_id or uuid4()
    checked_personas([wish.persona])
    optimiser_named(wish.optimiser)
    values: dict[str, Any] = {"id": optimisation_id, "tenant_id": tenant_id, **wish._asdict()}
    values["limits"] = wish.limits.model_dump(mode="json")
    async with (await database()).transaction(tenant_id) as connection:
        await train_cases(connection, wish.suite_id)
        await connection.execute(postgresql.insert(Optimisation).values(**values).on_conflict_do_nothing())
        if along is not None:
            await along(connection, optimisation_id)
    return optimisation_id


@step
async def read_wish(optimisation_id: UUID, tenant_id: UUID) -> Wish:
    """Return what a stored optimisation is to do. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(FIND, {"id": optimisation_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such optimisation.")
    return Wish(row.persona, row.suite_id, row.optimiser, Limits.model_validate(row.limits), row.requested_by)


@step
async def improve(optimisation_id: UUID, tenant_id: UUID) -> Improved | None:
    """Search within the budget and store the best prompt as a version; return None where nothing is better.

    Started again it asks the same, and what was paid for is read again. Raises BudgetExhausted when not even today's
    prompt could be rated, what `metered.ask` raises, and NotFound.
    """
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(FIND, {"id": optimisation_id})).one_or_none()
        if row is None:
            raise NotFound("There is no such optimisation.")
        if row.outcome is not None:
            return Improved(row.version_id, row.suite_id) if row.version_id else None
        live = await live_versions(connection)
        cases = await train_cases(connection, row.suite_id)
    now = await answering_by(row.persona, live, tenant_id)
    lessons = await lessons_of(cases, now, tenant_id)
    await _note(optimisation_id, tenant_id, documents=lessons.documents)  # before anything is said about them
    purse = Purse(Limits.model_validate(row.limits))
    try:
        best = await search(lessons, now, row, purse)
    except AccessEnded as ended:
        await _end(optimisation_id, tenant_id, outcome="refused", sentence=ended.sentence)
        return None
    except KowaiError as error:
        if not error.retryable:
            await _end(optimisation_id, tenant_id, outcome="broken", sentence=error.sentence)
        raise
    version_id = await _keep(row, best, _lineage(row, lessons, purse, now.prompt, best, live), purse)
    return Improved(version_id, row.suite_id) if version_id else None


async def train_cases(connection: AsyncConnection, suite_id: UUID) -> list[Case]:
    """Return the cases of the train half that tell what a good answer is. Raises SuiteTooSmall."""
    known = sorted((await read_suite(connection, suite_id)).cases, key=lambda case: case.id)
    train = [case for case in known if half_of(case.id) == "train" and is_telling(case)]
    held_out = sum(half_of(case.id) == "held_out" for case in known)
    if min(len(train), held_out) < LEAST_CASES:
        raise SuiteTooSmall(
            f"This suite has {len(train)} cases with expected answers to learn from and {held_out} to decide by; "
            f"each half takes {LEAST_CASES}."
        )
    return train


def _lineage(
    row: Any, lessons: Lessons, purse: Purse, start: PromptSetting, best: Gain, live: dict[str, UUID]
) -> Lineage:
    before = lessons.tally.mean(start) or 0.0
    parent = live.get(f"prompt:{row.persona}")
    return Lineage(
        optimisation_id=str(row.id),
        optimiser=row.optimiser,
        suite_id=str(row.suite_id),
        parent=str(parent) if parent else None,
        data_hash=data_hash(lessons.examples),
        documents=tuple(lessons.documents),
        train_cases=len(lessons.examples),
        before=before,
        after=lessons.tally.mean(best.prompt) or 0.0,
        calls=len(purse.calls),
        tokens=purse.tokens,
        dollars=purse.dollars,
    )


async def _keep(row: Any, best: Gain, lineage: Lineage, purse: Purse) -> UUID | None:
    """Close the optimisation; a prompt that is better becomes a version in the same transaction."""
    told = lineage.model_dump(mode="json")
    ended: dict[str, Any] = {"outcome": "no_gain", "lineage": told, "stopped_by": "limit" if purse.is_empty else None}
    ended["sentence"] = _sentence(best, lineage, purse)
    version_id: UUID | None = None
    async with (await database()).transaction(row.tenant_id) as connection:
        if best.gain > LEAST_GAIN:
            about: dict[str, Any] = {"lineage": told, "by": row.requested_by}
            slot = f"prompt:{row.persona}"
            version_id = await store_version(connection, slot, best.prompt, row.tenant_id, **about)
            ended |= {"outcome": "improved", "version_id": version_id, "artefact": artefact_of(best.prompt)}
        await _close(connection, row.id, ended)
    if FlowRunContext.get() is not None:
        shown = "\n".join(f"| {name} | {value} |" for name, value in told.items() if name != "documents")
        markdown = f"# {row.persona}: {ended['outcome']}\n\n{ended['sentence']}\n\n| | |\n|---|---|\n{shown}\n"
        await acreate_markdown_artifact(markdown=markdown, key="optimisation")
    return version_id


def _sentence(best: Gain, lineage: Lineage, purse: Purse) -> str:
    cause = " The budget was used up before the search ended." if purse.is_empty else ""
    if best.gain <= LEAST_GAIN:
        return f"No prompt was better than today's, which scores {lineage.before:.3f} on the train half.{cause}"
    scores = f"from {lineage.before:.3f} to {lineage.after:.3f}"
    return f"The score on the train half rose {scores}; the held-out half decides.{cause}"


async def _end(optimisation_id: UUID, tenant_id: UUID, **values: Any) -> None:
    async with (await database()).transaction(tenant_id) as connection:
        await _close(connection, optimisation_id, values)


async def _close(connection: AsyncConnection, optimisation_id: UUID, values: dict[str, Any]) -> None:
    ended = values | {"finished_at": datetime.now(UTC)}
    await connection.execute(update(Optimisation).where(col(Optimisation.id) == optimisation_id).values(**ended))


async def _note(optimisation_id: UUID, tenant_id: UUID, *, documents: Sequence[str]) -> None:
    noted = update(Optimisation).where(col(Optimisation.id) == optimisation_id)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(noted.values(documents=list(documents)))
