"""Say what a batch will take before it starts, from a sample of its questions and from what past answers took."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from prefect.artifacts import acreate_markdown_artifact
from prefect.context import FlowRunContext
from sqlalchemy import text

from blocks.connections import database, language_model
from blocks.language_model import LanguageModel
from kowai import quotes
from kowai.errors import NotFound
from kowai.extraction.answer import MODEL as EXTRACTIVE
from kowai.personas import askable
from kowai.pricing import total
from kowai.quotes import Quote
from kowai.settings import settings
from tasks.batches import Order, checked_personas
from tasks.quote_aside import of_checks, of_questions
from tasks.quote_load import asked_of, load_of, purse_of
from tasks.quote_sums import Load, Sums, of_voice, speakers
from tasks.quote_vectors import of_sentences
from tasks.step import step
from tasks.versions import live_versions

QUESTIONS = text("select text from set_question where question_set_id = :question_set order by ordinal")


@step
async def quote_batch(order: Order, tenant_id: UUID) -> Quote:
    """Return what it takes to have every persona answer every question of a set. Raises UnknownPersona and NotFound."""
    chosen = checked_personas(order.personas, askable())
    async with (await database()).transaction(tenant_id) as connection:
        live = await live_versions(connection)
        questions = (await connection.scalars(QUESTIONS, {"question_set": order.question_set_id})).all()
    if not questions:
        raise NotFound(f"There is no question set {order.question_set_id}.")
    model, asked = await language_model(), await asked_of(tenant_id, live, order.asked_by)
    load = await load_of(questions, asked)
    sums = await asyncio.to_thread(of_answers, load, chosen, model)  # counting tokens takes seconds
    return quote_of(len(questions) * len(chosen), sums, load, model, speaker=chosen[0])


@step
async def quote_nothing(tenant_id: UUID) -> Quote:
    """Return what something takes that cannot begin without a language model, while there is none."""
    nothing: dict[str, Any] = {"prompt_tokens": 0, "output_tokens": 0, "worst_tokens": 0, "minutes": None}
    nothing |= {"dollars": Decimal(0), "worst_dollars": Decimal(0), "basis": "assumption"}
    return Quote(items=0, model=EXTRACTIVE, **nothing, **(await purse_of(tenant_id))._asdict())


@step
async def show_quote(quote: Quote) -> Quote:
    """Leave the quote as an artifact of the run, and return it."""
    if FlowRunContext.get() is not None:
        await acreate_markdown_artifact(markdown=quote.sentence, key="quote")
    return quote


def of_answers(load: Load, names: Sequence[str], model: LanguageModel) -> list[Sums]:
    """Sum all calls by which these personas answer the questions.

    The first target is expected; at worst all that may stand in for each other are paid.
    """
    aside = [*of_questions(load, model, len(names)), *(of_sentences(name, load, model) for name in names)]
    if not model.targets:
        return aside
    first = speakers(names[0], load.asked)[0]
    checks = len(names) * [of_checks(load, first, model)]  # what is checked does not depend on who speaks
    return [*(of_voice(name, load, model) for name in names), *checks, *aside]


def quote_of(items: int, sums: Sequence[Sums], load: Load, model: LanguageModel, *, speaker: str) -> Quote:
    """Return what the calls come to; `speaker` is a persona whose first target gives its name to them all."""
    first, output = speakers(speaker, load.asked)[0], sum(one.output for one in sums)
    if model.targets:
        name = model.preferring(first.target).for_role(first.persona.role)[0].name
        seconds = quotes.SECONDS_TO_FIRST_TOKEN + output / items / quotes.TOKENS_A_SECOND
        experience = load.past.output_tokens
    else:
        name, seconds, experience = EXTRACTIVE, quotes.SECONDS_EXTRACTIVE, load.past.seconds
    seconds = seconds if load.past.seconds is None else load.past.seconds
    return Quote(
        items=items,
        prompt_tokens=sum(one.prompt for one in sums),
        output_tokens=output,
        dollars=total([one.dollars for one in sums]),
        worst_tokens=sum(one.worst_tokens for one in sums),
        worst_dollars=total([one.worst for one in sums]),
        minutes=round(items * seconds / min(items, settings().batch_at_once) / 60, 2),
        basis="assumption" if experience is None else "experience",
        model=name,
        **load.purse._asdict(),
    )
