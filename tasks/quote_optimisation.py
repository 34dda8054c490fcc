"""Say what an optimisation will take at most: its search is bounded by its budget, what decides by the suite."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database, language_model
from blocks.language_model import Target
from blocks.price_table import price_of
from blocks.tokens import count_prompt
from kowai.errors import Misconfigured
from kowai.optimisers import MOST_DEMOS, optimiser_named
from kowai.pricing import FREE, total, worst_case
from kowai.prompting import prompted, told
from kowai.quotes import Quote
from kowai.settings import settings
from kowai.suites import Limits
from kowai.versions import Answering
from tasks.batches import checked_personas
from tasks.evaluations import Trial
from tasks.metered import NO_MODEL
from tasks.optimise import Wish, train_cases
from tasks.quote import quote_of
from tasks.quote_aside import of_finding
from tasks.quote_evaluation import bounded, weigh
from tasks.quote_load import load_of
from tasks.quote_sums import FRAMING_BYTES, Load, Sums, fenced
from tasks.quote_vectors import BYTES_A_TOKEN
from tasks.step import step

REQUEST_LIMIT = text("select coalesce(max(request_limit), :default) from budget where tenant_id = :tenant")

NO_PROMPT: Mapping[str, int] = {}
MOST_GROWTH = 5  # times that a model words instructions or adds to them


@step
async def quote_optimisation(wish: Wish, tenant_id: UUID) -> Quote:
    """Return what a search within its budget and the two evaluations that decide can take.

    How a prompt that is still to be found is worded nobody knows: what asks by it costs at most what one call may, or
    what the longest that can be learned would. The search itself asks for more than answers.
    Raises as `receive_optimisation` and `metered.ask` do.
    """
    checked_personas([wish.persona])
    optimiser_named(wish.optimiser)
    model = await language_model()
    if not model.targets:
        raise Misconfigured(NO_MODEL)
    async with (await database()).transaction(tenant_id) as connection:
        train = await train_cases(connection, wish.suite_id)
        values = {"tenant": tenant_id, "default": model.request_limit}
        limit: Decimal = await connection.scalar(REQUEST_LIMIT, values)
    incumbent = await weigh(Trial(wish.suite_id, (wish.persona,), held_out=True), tenant_id)
    asked = incumbent.load.asked
    now, lessons = asked.personas[wish.persona], await load_of([case.question for case in train], asked)
    targets = model.preferring(now.target).for_role(now.persona.role)
    once = total([_most_of_one(target, limit) for target in targets])
    learned = _longest_learned(now, incumbent.load, targets)
    asking = total([_most_of_one(target, limit, learned) for target in targets])
    unknown = Sums(0, 0, None, 0, None if asking is None else incumbent.items * asking, asking)
    candidate = incumbent._replace(sums=[*incumbent.sums, unknown])
    ranked = of_finding(lessons, model).worst
    worst = total([_searched(wish.limits, once), ranked, bounded(incumbent), bounded(candidate)])
    minutes, decided = wish.limits.minutes, incumbent.limits.minutes
    bounds = {"worst_dollars": worst, "worst_tokens": None, "dollars": None, "prompt_tokens": None}
    bounds |= {"minutes": None if minutes is None or decided is None else minutes + 2 * decided}
    items = len(train) + 2 * incumbent.items
    quote = quote_of(items, candidate.sums, lessons, model, speaker=wish.persona)
    return quote.model_copy(update=bounds | {"output_tokens": None, "basis": "limits"})


def _most_of_one(target: Target, limit: Decimal, prompt: Mapping[str, int] = NO_PROMPT) -> Decimal | None:
    """Return what one call of a target may cost at most: the limit, or less where its model's prompt is bounded.

    Nothing if it is free, None where its price is not known.
    """
    tokens = prompt.get(target.model)
    price = price_of(target, tokens or 0)
    if price is None or price == FREE:
        return None if price is None else Decimal(0)
    most = None if tokens is None else worst_case(price, tokens, target.max_output_tokens)
    return limit if most is None else min(limit, most)


def _longest_learned(now: Answering, load: Load, targets: Sequence[Target]) -> dict[str, int]:
    """Return by model how many tokens a prompt has at most that an optimiser may find.

    Its instructions grow by what a model says in each step, and each of its examples is a question with its passages
    and the answer.
    """
    said = BYTES_A_TOKEN * max(target.max_output_tokens for target in targets)
    passages = fenced(load.longest[: now.retrieval.passages])
    inputs = told(now.persona, load.asked.preferences, load.asked.tenant_id, question="")
    texts = [*prompted(inputs, passages, now.prompt), "x" * FRAMING_BYTES]
    found: dict[str, int] = {}
    for model in {target.model for target in targets}:
        asked = count_prompt(texts, model).tokens + max(load.as_asked(model))
        found[model] = (1 + MOST_DEMOS) * asked + (MOST_DEMOS + MOST_GROWTH) * said
    return found


def _searched(limits: Limits, once: Decimal | None) -> Decimal | None:
    """Return the most that a search can cost: its budget and the calls that were begun before it was used up."""
    if not once:
        return once
    return None if limits.dollars is None else limits.dollars + settings().batch_at_once * once
