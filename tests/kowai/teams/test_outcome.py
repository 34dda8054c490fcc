"""What a team says of itself: whole, partial, refused or failed."""

from uuid import uuid4

import pytest

from kowai.teams.outcome import Said, Standing, cancelled, ending, is_cut_off, joined
from kowai.teams.plan import Known, checked_plan
from kowai.types import Citation

PLAN = checked_plan(
    {
        "steps": [
            {"id": "a", "persona": "p"},
            {"id": "b", "persona": "p"},
            {"id": "c", "persona": "p", "needs": ["a", "b"]},
            {"id": "d", "persona": "p", "needs": ["b"]},
        ]
    },
    Known(personas=("p",), tools=()),
)
DONE, FAILED, REFUSED = Standing("done"), Standing("failed", "timeout"), Standing("refused", "budget_exhausted")
SKIPPED = Standing("skipped", "needs_failed")


@pytest.mark.parametrize(
    ("standings", "status", "told"),
    [
        ((DONE, DONE, DONE, DONE), "done", "Every step"),
        ((FAILED, DONE, DONE, DONE), "partial", "no result of a (timeout)"),
        ((DONE, FAILED, DONE, SKIPPED), "partial", "no result of b (timeout), d (needs_failed)"),
        ((FAILED, FAILED, SKIPPED, SKIPPED), "failed", "No answer"),
        ((REFUSED, REFUSED, SKIPPED, SKIPPED), "refused", "a (budget_exhausted)"),
        ((DONE, DONE, REFUSED, FAILED), "failed", "No answer"),
    ],
)
def test_what_is_missing_is_said(standings: tuple[Standing, ...], status: str, told: str) -> None:
    ended = ending(PLAN, dict(zip("abcd", standings, strict=True)))
    assert ended.status == status
    assert told in ended.sentence


@pytest.mark.parametrize(
    ("standings", "told"),
    [
        ((DONE, DONE, DONE, Standing("running")), "a partial answer; there is no result of d."),
        ((DONE, Standing("running"), *2 * [Standing("queued")]), "no answer, but results of a; there is no result of"),
        ((Standing("running"), *3 * [Standing("queued")]), "before there was any result."),
    ],
)
def test_a_cancelled_team_says_what_is_kept(standings: tuple[Standing, ...], told: str) -> None:
    ended = cancelled(PLAN, dict(zip("abcd", standings, strict=True)), "Ada")
    assert ended.status == "cancelled"
    assert ended.sentence.startswith("Cancelled by Ada")
    assert told in ended.sentence


def test_a_step_goes_on_as_long_as_one_of_those_it_needs_has_a_result() -> None:
    assert not is_cut_off([], {})
    assert not is_cut_off(["a", "b"], {"a": "failed", "b": "done"})
    assert is_cut_off(["a", "b"], {"a": "failed", "b": "skipped"})


def cited(name: str) -> Citation:
    return Citation(
        document_id=uuid4(), external_id=name, title=None, version=1, page=None, start=0, end=1, quote="q", score=1.0
    )


def test_several_results_become_one_text_whose_citations_are_numbered_through() -> None:
    first = Said("one", "A [1][2]. B [1].", (cited("x"), cited("y")))
    second = Said("two", "C [1].", (cited("z"),))
    text, citations = joined([first, second])
    assert text == "## one\n\nA [1] [2]. B [1].\n\n## two\n\nC [3]."
    assert [citation.external_id for citation in citations] == ["x", "y", "z"]
    assert joined([second]) == (second.text, second.citations)
