"""What an evaluation measured of each case, the worst first."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database
from kowai.scores import Outcome, rightness
from kowai.types import Value

CASES = text("""
select q.key as "case", i.persona, i.cause, s.abstained, coalesce(s.scores, '{}') as scores, s.reason,
  coalesce((c.content ->> 'unanswerable')::boolean, false) as unanswerable,
  c.content ->> 'question' as question, a.text as answer, case when a.id is not null then i.id end as query_id
from batch_item i join set_question q on q.id = i.question_id
join suite_case c on c.suite_id = q.question_set_id and c.key = q.key
left join case_score s on s.id = i.id left join answer a on a.query_id = i.id
where i.batch_id = :id and i.state not in ('queued', 'running') order by q.ordinal, i.persona
""")


class MeasuredCase(Value):
    """Hold one persona's answer to one case; `right` is between 0 and 1, by the suite's own answers or else the judge.

    It is None where neither tells. `query_id` finds the answer and what it was made of; it is None where there is none.
    """

    case: str
    persona: str
    right: float | None
    question: str
    answer: str | None
    scores: dict[str, float]
    cause: str | None
    reason: str | None
    query_id: UUID | None


async def read_cases(evaluation_id: UUID, tenant_id: UUID, *, limit: int) -> list[MeasuredCase]:
    """Return what has been measured so far, the least right first and what nobody can tell last."""
    async with (await database()).transaction(tenant_id) as connection:
        rows = (await connection.execute(CASES, {"id": evaluation_id})).mappings().all()
    cases = [_case(dict(row)) for row in rows]
    return sorted(cases, key=lambda each: (each.right is None, each.right))[:limit]


def _case(row: dict[str, Any]) -> MeasuredCase:
    outcome = Outcome.model_validate({name: row[name] for name in Outcome.model_fields})
    right = rightness(outcome)
    told = {name: row[name] for name in MeasuredCase.model_fields if name != "right"}
    return MeasuredCase(**told, right=outcome.scores.get("judge") if right is None else right)
