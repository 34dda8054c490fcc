"""The model judge: how good an answer is by a rubric, or an error, never a score made of nonsense."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from kowai.errors import KowaiError, ModelUnreadable
from kowai.signatures import JudgeAnswer
from kowai.suites import Case
from tasks import metered

JUDGE = "judge"
LOWEST, HIGHEST = 1, 5
MOST_JUDGED = 24_000  # bytes of an answer, which bounds what a verdict costs


class JudgeNonsense(KowaiError):
    code, http_status = "judge_nonsense", 502


class Judged(NamedTuple):
    """Hold the judge's verdict in [0, 1] and why."""

    score: float
    reason: str


async def judge(case: Case, answer: str, tenant_id: UUID, query_id: UUID) -> Judged:
    """Ask the model of the role `judge`; the same answer is judged once. Raises JudgeNonsense."""
    said = answer.encode()[:MOST_JUDGED].decode(errors="ignore")
    inputs = {"question": case.question, "expected": expected_of(case), "answer": said}
    try:
        reply = await metered.ask(JudgeAnswer, inputs, tenant_id, query_id=query_id, role=JUDGE)
    except ModelUnreadable as error:
        raise JudgeNonsense("The judge's reply did not have the asked-for form.", operator=error.operator) from error
    score = reply.fields["score"]
    if isinstance(score, bool) or not isinstance(score, int) or not LOWEST <= score <= HIGHEST:
        raise JudgeNonsense(f"The judge gave a score that is not between {LOWEST} and {HIGHEST}.")
    return Judged((score - LOWEST) / (HIGHEST - LOWEST), str(reply.fields["reason"]))


def expected_of(case: Case) -> str:
    """Return what the judge is told of a good answer."""
    if case.unanswerable:
        return "The documents do not hold the answer; saying so is right."
    return "\n".join((*case.answers, *case.facts)) or "(unknown)"


async def judge_sample(rows: Sequence[Any], tenant_id: UUID) -> list[float]:
    """Return the verdicts on live answers, rows of id, question and answer; one without a verdict is left out.

    The same sample is paid for once.
    """
    scores: list[float] = []
    for row in rows:
        try:
            verdict = await judge(Case(id=str(row.id), question=row.question), row.answer, tenant_id, row.id)
        except KowaiError:  # no verdict is no score
            continue
        scores.append(verdict.score)
    return scores
