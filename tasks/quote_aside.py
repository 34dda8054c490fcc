"""What a batch takes beside its answers: long questions put in other words, passages in order, citations checked."""

from collections import Counter
from decimal import Decimal
from functools import partial

from blocks.language_model import LanguageModel
from blocks.reranker import Reranker
from blocks.tokens import count_prompt
from kowai.conversations import about_tokens, needs_rephrasing
from kowai.pricing import dearest, total
from kowai.prompting import texts_of
from kowai.reranking import most_searches, price_of
from kowai.signatures import CheckSupport, StandaloneQuestion
from kowai.versions import Answering
from tasks.quote_sums import NOTHING, Load, Sums, expected, expected_output, worst
from tasks.quote_vectors import of_search, plus
from tasks.writing import MOST_CHECKED

REPHRASED_TOKENS = 60
VERDICT_TOKENS = 30
QUOTES_PER_CLAIM = 2  # a claim goes with each of its quotes, which are about as long as the claim


def of_checks(load: Load, chosen: Answering, model: LanguageModel) -> Sums:
    """Sum what it takes to have a model check the citations of this persona's answers, if one does."""
    if not model.check_support:
        return NOTHING
    targets = model.preferring(chosen.target).for_role("fast")
    prompt, count = texts_of(CheckSupport, {"pairs": ""}), len(load.questions)
    pairs = 2 * QUOTES_PER_CLAIM * expected_output(load)
    likely = expected(prompt, lambda _: [pairs] * count, VERDICT_TOKENS, targets[0])
    most = worst(prompt, lambda name: [count_prompt([""], name).tokens + MOST_CHECKED] * count, targets)
    return Sums(*likely, *most)


def of_questions(load: Load, model: LanguageModel, voices: int) -> list[Sums]:
    """Sum what questions take before anybody answers: paid once for each, or at worst once more for every persona."""
    once = (_rephrased(load, model), of_finding(load, model))
    return [
        each._replace(
            worst_tokens=each.worst_tokens * voices, worst=None if each.worst is None else each.worst * voices
        )
        for each in once
    ]


def of_finding(load: Load, model: LanguageModel) -> Sums:
    """Sum what finding the passages takes: the questions' vectors, and putting what was found in order."""
    return plus(of_search(load, model), _reranked(load, model))


def _rephrased(load: Load, model: LanguageModel) -> Sums:
    long = load._replace(questions=[question for question in load.questions if needs_rephrasing(question, ())])
    if not long.questions or not model.targets:
        return NOTHING
    prompt, targets = texts_of(StandaloneQuestion, {"conversation": "", "message": ""}), model.for_role("fast")
    return Sums(
        *expected(prompt, long.as_asked, REPHRASED_TOKENS, targets[0]),
        *worst(prompt, long.as_asked, targets),
    )


def _reranked(load: Load, model: LanguageModel) -> Sums:
    """Sum as if each question were asked with the longest passages there are; what may not be called costs nothing."""
    chosen = next((each for each in model.rerankers if each.name == _reranker(load)), None)
    if chosen is None or (chosen.price is None and not chosen.allow_unknown_price):
        return NOTHING
    passages = load.longest[: chosen.candidates]
    if len(passages) < 2 or not load.questions:
        return NOTHING
    about = sum(about_tokens(passage) for passage in passages)
    likely = [about + len(passages) * about_tokens(question) for question in load.questions]
    searches = len(load.questions) * most_searches([about // len(passages)] * len(passages))
    tokens, most, once = _most(load, chosen, passages, rephrased=bool(model.targets))
    by_tokens = chosen.priced_by == "tokens"
    expected_dollars = price_of(chosen.price, chosen.priced_by, tokens=sum(likely), searches=searches)
    return Sums(sum(likely) if by_tokens else 0, 0, expected_dollars, tokens if by_tokens else 0, most, once)


def _most(
    load: Load, chosen: Reranker, passages: list[str], *, rephrased: bool
) -> tuple[int, Decimal | None, Decimal | None]:
    """Return the most tokens and dollars, and those of one call: a question's tokens count with each passage."""
    nothing = count_prompt([""], chosen.model).tokens
    bare = [count_prompt(["", passage], chosen.model).tokens for passage in passages]
    asked = load.as_understood(chosen.model) if rephrased else load.as_asked(chosen.model)
    priced = partial(price_of, chosen.price, chosen.priced_by)
    tokens, prices, dollars = 0, list[Decimal | None](), list[Decimal | None]()
    for count, questions in Counter(asked).items():
        read = [each + count - nothing for each in bare]
        price = priced(tokens=sum(read), searches=most_searches(read))
        prices.append(price)
        tokens += questions * sum(read)
        dollars.append(None if price is None else questions * price)
    return tokens, total(dollars), dearest(prices)


def _reranker(load: Load) -> str | None:
    """Return the reranker's name; the settings of retrieval are the same for all personas."""
    return next(iter(load.asked.personas.values())).retrieval.reranker
