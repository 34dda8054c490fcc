"""Say what an optimisation will take at most: its search is bounded by its budget, what decides by the suite."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database, language_model
from blocks.language_model import Target
from blocks.price_table import price_of
from kowai.errors import Misconfigured
from kowai.optimisers import optimiser_named
from kowai.pricing import FREE, total
from kowai.quotes import Quote
from kowai.settings import settings
from kowai.suites import Limits
from tasks.batches import checked_personas
from tasks.evaluations import Trial
from tasks.metered import NO_MODEL
from tasks.optimise import Wish, train_cases
from tasks.quote import quote_of
from tasks.quote_aside import of_finding
from tasks.quote_evaluation import bounded, weigh
from tasks.quote_load import load_of
from tasks.quote_sums import Sums
from tasks.step import step

REQUEST_LIMIT = text("select coalesce(max(request_limit), :default) from budget where tenant_id = :tenant")


@step
async def quote_optimisation(wish: Wish, tenant_id: UUID) -> Quote:
    """Return what a search within its budget and the two evaluations that decide can take.

    How a prompt that is still to be found is worded nobody knows: what asks by it can cost what one call may.
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
    once = _most_of_one(model.preferring(now.target).for_role(now.persona.role), limit)
    unknown = Sums(0, 0, None, 0, None if once is None else incumbent.items * once, once)
    candidate = incumbent._replace(sums=[*incumbent.sums, unknown])
    ranked = of_finding(lessons, model).worst
    worst = total([_searched(wish.limits, once), ranked, bounded(incumbent), bounded(candidate)])
    minutes, decided = wish.limits.minutes, incumbent.limits.minutes
    bounds = {"worst_dollars": worst, "worst_tokens": None, "dollars": None, "prompt_tokens": None}
    bounds |= {"minutes": None if minutes is None or decided is None else minutes + 2 * decided}
    items = len(train) + 2 * incumbent.items
    quote = quote_of(items, candidate.sums, lessons, model, speaker=wish.persona)
    return quote.model_copy(update=bounds | {"output_tokens": None, "basis": "limits"})


def _most_of_one(targets: Sequence[Target], limit: Decimal) -> Decimal | None:
    """Return what one call may cost at most: nothing where all targets are free, None where a price is not known."""
    prices = [price_of(target, 0) for target in targets]
    if None in prices:
        return None
    return Decimal(0) if all(price == FREE for price in prices) else limit


def _searched(limits: Limits, once: Decimal | None) -> Decimal | None:
    """Return the most that a search can cost: its budget and the calls that were begun before it was used up."""
    if not once:
        return once
    return None if limits.dollars is None else limits.dollars + settings().batch_at_once * once
