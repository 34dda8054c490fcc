"""The search for a better prompt: rate that of today, let one of DSPy's optimisers search, rate what it found."""

import asyncio
import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, NamedTuple, cast
from uuid import UUID

import dspy

from kowai.errors import BudgetExhausted, KowaiError, ModelFailed
from kowai.optimisation import CitedAnswer, Gain, Tally, example_of, prompt_of
from kowai.optimisers import optimiser_named
from kowai.quoting import quoted_passages
from kowai.settings import settings
from kowai.suites import Case, Limits
from kowai.versions import Answering
from tasks import metered
from tasks.limited_engine import Purse
from tasks.retrieve import find_reranked


class Lessons(NamedTuple):
    """Hold what is learned from: examples, the tally of what was tried on them, and the documents they quote."""

    examples: list[dspy.Example]
    tally: Tally
    documents: list[str]


async def lessons_of(cases: Sequence[Case], now: Answering, tenant_id: UUID) -> Lessons:
    """Return the cases with the passages that the persona would be given."""
    examples: list[dspy.Example] = []
    counts: dict[str, int] = {}
    documents: set[str] = set()
    for case in cases:
        wanted: dict[str, Any] = {"k": now.retrieval.passages, "filters": {}}
        passages, *_ = await find_reranked(case.question, tenant_id, now.retrieval.reranker, **wanted)
        inputs = {"voice": now.persona.voice(), "conversation": "", "question": case.question}
        inputs["passages"] = quoted_passages(passages)
        examples.append(example_of(case, inputs, len(passages)))
        counts[case.id] = len(passages)
        documents |= {str(passage.document_id) for passage in passages}
    return Lessons(examples, Tally({case.id: case for case in cases}, counts), sorted(documents))


async def search(lessons: Lessons, now: Answering, row: Any, purse: Purse) -> Gain:
    """Return the best prompt that the purse allowed to find, which may be that of today.

    Raises BudgetExhausted when not even that could be rated, and ModelFailed when no target answers.
    """
    whose: dict[str, Any] = {"query_id": row.id, "role": now.persona.role, "target": now.target}
    async with metered.spending(row.tenant_id, plain="answer", purse=purse, **whose):
        start = CitedAnswer(now.prompt, lessons.tally)
        await _rate(start, lessons, purse)
        whole, purse.limits = purse.limits, _less_one_rating(purse)
        found = await asyncio.to_thread(_compiled, row.optimiser, start.deepcopy(), lessons, purse)
        purse.limits = whole
        if found is not None:
            with suppress(BudgetExhausted):
                await _rate(CitedAnswer(prompt_of(found), lessons.tally), lessons, purse)
    return lessons.tally.best(now.prompt)


async def _rate(program: CitedAnswer, lessons: Lessons, purse: Purse) -> None:
    """Try the program on every example; one whose reply cannot be read scores nothing. Raises what ends the search."""
    turns = asyncio.Semaphore(settings().batch_at_once)

    async def attempt(example: dspy.Example) -> BaseException | None:
        async with turns:
            try:
                await program.acall(**cast(Any, example).inputs())
            except Exception as error:
                if purse.is_empty:
                    return error
                lessons.tally.note(prompt_of(program), cast(Any, example).case, 0.0)
                return error
        return None

    errors = [error for error in await asyncio.gather(*map(attempt, lessons.examples)) if error]
    if purse.is_empty:
        raise BudgetExhausted("The optimisation's budget is used up.")
    if len(errors) == len(lessons.examples):
        known = isinstance(errors[0], KowaiError | dspy.LMError)
        raise errors[0] if known else ModelFailed("No reply of the language model could be read.")


def _compiled(optimiser: str, program: dspy.Module, lessons: Lessons, purse: Purse) -> dspy.Module | None:
    """Return what the optimiser found; None where it gave up because the purse was empty."""
    chosen = optimiser_named(optimiser)
    metric: Any = getattr(program, "metric")  # noqa: B009 -- DSPy knows only Module
    try:
        with _unheard():
            return chosen.improve(program, lessons.examples, metric, settings().batch_at_once)
    except Exception:
        if purse.is_empty:
            return None
        raise


@contextmanager
def _unheard() -> Generator[None]:
    """Keep prompts and replies, which DSPy's optimisers print and log, out of the output of this process."""
    dspy.disable_logging()
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        dspy.enable_logging()


def _less_one_rating(purse: Purse) -> Limits:
    """Return the limits less what rating all examples has cost, so that what is found can be rated as well."""
    limits, spent = purse.limits, purse.dollars
    dollars = None if limits.dollars is None else max(limits.dollars - (spent or 0), spent or 0)
    tokens = None if limits.tokens is None else max(limits.tokens - purse.tokens, purse.tokens)
    return limits.model_copy(update={"dollars": dollars, "tokens": tokens})
