"""The gate: put a candidate beside the incumbent on the same suite, and let it go live only if nothing fell."""

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
from kowai.errors import InvalidInput, NotFound
from kowai.evaluations import Found, conclude
from kowai.gate import Comparison
from kowai.suites import About
from kowai.tables.versions import Promotion
from kowai.versions import SPACE
from tasks.conclude import read_outcomes
from tasks.outbox import Along
from tasks.step import step
from tasks.versions import live_versions, slot_of

NAMED = 10
NOT_LIVE = "Only a promotion whose version is live can be rolled back."
GO_LIVE = text("""
insert into live_setting (tenant_id, slot, version_id) values (:tenant, :slot, :version)
on conflict (tenant_id, slot) do update set version_id = excluded.version_id, since = now()
""")
WITHDRAW = text("delete from live_setting where tenant_id = :tenant and slot = :slot")
LOCK = text("select version_id from live_setting where tenant_id = :tenant and slot = :slot for update")
ACCEPT = text("update evaluation set accepted = true where id = :id")
FIND = text("""
select p.*, v.slot, v.content, s.about from promotion p join setting_version v on v.id = p.version_id
join suite s on s.id = p.suite_id where p.id = :id
""")


class Candidacy(NamedTuple):
    """Name what is to go live and the two choices of settings that are evaluated to decide it."""

    promotion_id: UUID
    candidate_id: UUID
    incumbent_id: UUID
    suite_id: UUID
    candidate: dict[str, str]
    incumbent: dict[str, str]
    persona: str | None
    held_out: bool
    embedder: str | None


@step
async def receive_promotion(
    version_id: UUID,
    suite_id: UUID,
    tenant_id: UUID,
    promotion_id: UUID | None = None,
    *,
    held_out: bool = False,
    along: Along | None = None,
) -> UUID:
    """Store the wish to make a version live, with the incumbent of this moment. Raises NotFound.

    What was learned from a suite is decided by its `held_out` half alone.
    """
    promotion_id = promotion_id or uuid4()
    values: dict[str, Any] = {"id": promotion_id, "tenant_id": tenant_id, "version_id": version_id}
    values |= {
        "held_out": held_out,
        "suite_id": suite_id,
        "candidate_evaluation_id": uuid4(),
        "incumbent_evaluation_id": uuid4(),
    }
    async with (await database()).transaction(tenant_id) as connection:
        slot = await slot_of(connection, version_id)
        values["incumbent_id"] = (await live_versions(connection)).get(slot)
        await connection.execute(postgresql.insert(Promotion).values(**values).on_conflict_do_nothing())
        if along is not None:
            await along(connection, promotion_id)
    return promotion_id


@step
async def read_candidate(promotion_id: UUID, tenant_id: UUID) -> tuple[UUID, UUID]:
    """Return the version that a stored promotion is about, and the suite that decides. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, promotion_id)
    return row.version_id, row.suite_id


@step
async def read_candidacy(promotion_id: UUID, tenant_id: UUID) -> Candidacy | None:
    """Return what has to be evaluated; None once it is decided. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, promotion_id)
        live = await live_versions(connection)
    if row.outcome is not None:
        return None
    others = {slot: str(version) for slot, version in live.items() if slot != row.slot}
    incumbent = others | ({row.slot: str(row.incumbent_id)} if row.incumbent_id else {})
    evaluations = (row.candidate_evaluation_id, row.incumbent_evaluation_id)
    persona = row.slot.partition(":")[2] or None
    sides = (others | {row.slot: str(row.version_id)}, incumbent)
    embedder = row.content["embedder"] if row.slot == SPACE else None
    return Candidacy(promotion_id, *evaluations, row.suite_id, *sides, persona, row.held_out, embedder)


@step
async def favours_candidate(promotion_id: UUID, tenant_id: UUID) -> bool:
    """Tell whether both evaluations speak for the candidate; nothing is decided by that."""
    async with (await database()).transaction(tenant_id) as connection:
        found = await _compared(connection, await _find(connection, promotion_id))
    return _verdict(found.comparison, broken=found.outcome == "broken")[0] == "promoted"


@step
async def decide(promotion_id: UUID, tenant_id: UUID, objection: str | None = None) -> str:
    """Promote, refuse or give up; the version goes live in the transaction that says so. Return the outcome.

    An `objection` from outside the suite refuses what the suite would promote. A vector space has been switched to
    before, for all tenants, and is no setting of this one.
    """
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, promotion_id)
        if row.outcome is not None:
            return row.outcome
        found = await _compared(connection, row)
        live = await connection.scalar(LOCK, {"tenant": tenant_id, "slot": row.slot})
        outcome, sentence = _verdict(found.comparison, broken=found.outcome == "broken")
        if outcome == "promoted" and live != row.incumbent_id:
            outcome, sentence = "refused", "Another version went live meanwhile: promote again, against that one."
        if outcome == "promoted" and objection is not None:
            outcome, sentence = "refused", objection
        if outcome == "promoted" and row.slot != SPACE:
            await connection.execute(GO_LIVE, {"tenant": tenant_id, "slot": row.slot, "version": row.version_id})
        if outcome == "promoted" and not row.held_out:  # half a suite is nothing to compare whole ones with
            await connection.execute(ACCEPT, {"id": row.candidate_evaluation_id})
        comparison = found.comparison.model_dump(mode="json") if found.comparison else {}
        await _end(connection, promotion_id, outcome, sentence=sentence, comparison=comparison)
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown=f"# {row.slot}: {outcome}\n\n{sentence}\n", key="promotion")
    return outcome


async def _compared(connection: AsyncConnection, row: Any) -> Found:
    sides = (row.candidate_evaluation_id, row.incumbent_evaluation_id)
    candidate, incumbent = [[each for _, each in (await read_outcomes(connection, id)).values()] for id in sides]
    return conclude(candidate, incumbent, About.model_validate(row.about).margins)


def _verdict(comparison: Comparison | None, *, broken: bool) -> tuple[str, str]:
    if comparison is None or broken or not comparison.cases:
        return "broken", "Too few cases came to an answer to compare the candidate with what is live."
    if not comparison.regressed:
        return "promoted", f"No metric fell by more than its margin on {comparison.cases:,} cases."
    falls = ", ".join(f"{each.metric} of {each.persona} {each.change:+.3f}" for each in comparison.regressed)
    worse = ", ".join(each.case for each in comparison.questions[:NAMED])
    more = len(comparison.questions) - NAMED
    named = f" Answered worse: {worse}{f' and {more:,} more' if more > 0 else ''}." if worse else ""
    return "refused", f"Fell by more than the margin: {falls}.{named}"


@step
async def roll_back(promotion_id: UUID, tenant_id: UUID, sentence: str) -> bool:
    """Make the version before this one live again, if this one still is; tell whether it was."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, promotion_id)
        slot = {"tenant": tenant_id, "slot": row.slot}
        if row.outcome != "promoted" or await connection.scalar(LOCK, slot) != row.version_id:
            return False
        if row.incumbent_id is None:
            await connection.execute(WITHDRAW, slot)
        else:
            await connection.execute(GO_LIVE, slot | {"version": row.incumbent_id})
        await _end(connection, promotion_id, "rolled_back", sentence=sentence)
    return True


async def promoted_embedder(promotion_id: UUID, tenant_id: UUID) -> str | None:
    """Return whose vector space was promoted; None where it was no space. Raises NotFound and InvalidInput."""
    async with (await database()).transaction(tenant_id) as connection:
        row = await _find(connection, promotion_id)
    if row.slot != SPACE:
        return None
    if row.outcome != "promoted":
        raise InvalidInput(NOT_LIVE)
    return row.content["embedder"]


@step
async def note_roll_back(promotion_id: UUID, tenant_id: UUID, sentence: str) -> None:
    """Write down that a promoted space, which is no setting of one tenant, is gone back from."""
    async with (await database()).transaction(tenant_id) as connection:
        await _end(connection, promotion_id, "rolled_back", sentence=sentence)


async def _find(connection: AsyncConnection, promotion_id: UUID) -> Any:
    row = (await connection.execute(FIND, {"id": promotion_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such promotion.")
    return row


async def _end(connection: AsyncConnection, promotion_id: UUID, outcome: str, **values: Any) -> None:
    ended = {"outcome": outcome, "finished_at": datetime.now(UTC), **values}
    await connection.execute(update(Promotion).where(col(Promotion.id) == promotion_id).values(**ended))
