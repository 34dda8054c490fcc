"""Close an evaluation: sum up, compare with the last accepted one, and show it without any text in Prefect."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_link_artifact, acreate_markdown_artifact, acreate_table_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.errors import NotFound
from kowai.evaluations import Found, conclude, report, rows
from kowai.personas import AUTO
from kowai.scores import Outcome
from kowai.settings import settings
from kowai.suites import About
from kowai.tables.batches import Batch
from kowai.tables.evaluations import Evaluation
from tasks.step import step

READ = text("""
select e.id, s.name, s.version, s.about, b.personas, e.candidate from evaluation e
join suite s on s.id = e.suite_id join batch b on b.id = e.id where e.id = :id
""")
OUTCOMES = text("""
select q.key, md5(c.content::text) as content, coalesce((c.content ->> 'unanswerable')::boolean, false) as unanswerable,
  i.persona, i.state, i.cause, s.abstained, s.scores
from batch_item i join set_question q on q.id = i.question_id
join suite_case c on c.suite_id = q.question_set_id and c.key = q.key left join case_score s on s.id = i.id
where i.batch_id = :id
""")
BASELINE = text("""
select e.id from evaluation e join suite s on s.id = e.suite_id join batch b on b.id = e.id
where e.accepted and e.id <> :id and s.name = :name and b.personas = cast(:personas as jsonb)
order by e.finished_at desc limit 1
""")
ROUTED = text("""
select q.persona, count(*) from batch_item i join query q on q.id = i.id
where i.batch_id = :id and i.persona = :auto and q.persona <> :auto group by 1 order by 2 desc, 1
""")
STOPPED = text("select count(*) from batch_item where batch_id = :id and cause = 'limit_reached'")

Known = dict[tuple[str, str], tuple[str, Outcome]]


@step
async def conclude_evaluation(evaluation_id: UUID, tenant_id: UUID) -> Found:
    """Store what the evaluation found and return it; one that passed is what the next ones are compared with."""
    async with (await database()).transaction(tenant_id) as connection:
        about = await read_head(connection, evaluation_id)
        own = await read_outcomes(connection, evaluation_id)
        baseline_id = await connection.scalar(BASELINE, _sought(about))
        before = _alike(await read_outcomes(connection, baseline_id), own) if baseline_id else []
        found = conclude([each for _, each in own.values()], before, About.model_validate(about.about).margins)
        routed = await connection.execute(ROUTED, {"id": evaluation_id, "auto": AUTO})
        found = found.model_copy(update={"routed": {row.persona: row.count for row in routed}})
        stopped = await connection.scalar(STOPPED, {"id": evaluation_id})
        told = found.model_dump(mode="json", include={"estimates", "measured", "completed", "routed"})
        values: dict[str, Any] = {
            "outcome": found.outcome,
            "accepted": found.outcome == "passed" and not about.candidate,
            "baseline_id": baseline_id,
            "stopped_by": "limit" if stopped else None,
            "summary": told,
            "comparison": found.comparison.model_dump(mode="json") if found.comparison else {},
            "agreement": found.agreement.model_dump(mode="json") if found.agreement else {},
            "finished_at": datetime.now(UTC),
        }
        await connection.execute(update(Evaluation).where(col(Evaluation.id) == evaluation_id).values(**values))
        ended = {"status": "done", "finished_at": values["finished_at"]}
        await connection.execute(update(Batch).where(col(Batch.id) == evaluation_id).values(**ended))
    if FlowRunContext.get() is not None:
        await _show(evaluation_id, f"{about.name}, version {about.version}", found)
    return found


async def read_head(connection: AsyncConnection, evaluation_id: UUID) -> Any:
    """Return the evaluation with its suite's name. Raises NotFound."""
    row = (await connection.execute(READ, {"id": evaluation_id})).one_or_none()
    if row is None:
        raise NotFound("There is no such evaluation.")
    return row


async def read_outcomes(connection: AsyncConnection, evaluation_id: UUID) -> Known:
    """Return, by case and persona, the fingerprint of the case and what became of it."""
    found: Known = {}
    for row in await connection.execute(OUTCOMES, {"id": evaluation_id}):
        abstained = row.abstained if row.state == "done" else None
        about = {"case": row.key, "persona": row.persona, "unanswerable": row.unanswerable, "cause": row.cause}
        outcome = Outcome.model_validate(about | {"abstained": abstained, "scores": row.scores or {}})
        found[row.key, row.persona] = (row.content, outcome)
    return found


def _sought(about: Any) -> dict[str, Any]:
    return {"id": about.id, "name": about.name, "personas": json.dumps(about.personas)}


def _alike(baseline: Known, own: Known) -> list[Outcome]:
    """Keep of the baseline what was asked just so: a case that was rewritten is another case."""
    return [each for key, (content, each) in baseline.items() if key in own and own[key][0] == content]


async def _show(evaluation_id: UUID, title: str, found: Found) -> None:
    address = f"http://{settings().host}:{settings().port}/api/v1/evaluations/{evaluation_id}"
    shown: Sequence[dict[str, Any]] = rows(found)
    await acreate_table_artifact(key="metrics", table=list(shown), description=f"{title}: {found.outcome}")
    await acreate_markdown_artifact(markdown=report(title, found), key="evaluation")
    await acreate_link_artifact(key="evaluation-link", link=address, link_text=title)
