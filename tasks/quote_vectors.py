"""What answers take of an embedder that is paid: to find passages, and to hold sentences against them."""

import math
from collections.abc import Sequence
from decimal import Decimal

from blocks.embedder import Embedder
from blocks.language_model import LanguageModel
from blocks.price_table import embedding_price
from blocks.tokens import count_prompt
from kowai.conversations import about_tokens
from kowai.extraction.reading import EMBEDDED
from kowai.extraction.several import parts_of
from kowai.personas import AUTO, personas
from kowai.pricing import Price, cost, dearest, total
from kowai.support import SHORTLISTED
from kowai.types import Usage
from kowai.versions import Answering
from tasks.quote_sums import NOTHING, Load, Sums, expected_output, speakers

SENTENCE_TOKENS = 30
BYTES_A_TOKEN = 10  # of what a model says: a token of prose has four in English and eight in Cyrillic
TOKENS_A_CLAIM = 3  # at least: two words and what ends them
WINDOWS = 3  # in which a sentence may be quoted: by itself, with the one before it and with the one after it
LOOKS = 2  # at the passages that a claim names, then at all of them


def of_search(load: Load, model: LanguageModel) -> Sums:
    """Sum what the vectors of questions take by which passages are found."""
    return _of_questions(load, model, load.embedders.searching)


def of_routing(load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to choose a persona for each question; at worst the personas' examples are still unknown."""
    block = load.embedders.comparing
    asked = _of_questions(load, model, block)
    if block is None:
        return NOTHING
    examples = [example for persona in personas().values() for example in persona.examples]
    read = _most(block, len(examples), sum(_tokens(example, block) for example in examples), block.document_prefix)
    return plus(asked, _sums(block, 0, [read]))


def of_sentences(name: str, load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to make this persona's answers, or those of whom `auto` chooses, beside what models take."""
    each = [of_answer(chosen, load, model) for chosen in speakers(name, load.asked)]
    most = max(each, key=lambda sums: sums.worst_tokens)
    return plus(most, of_routing(load, model)) if name == AUTO else most


def of_likeness(chosen: Answering, expected: Sequence[Sequence[str]], load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to compare this persona's answers with those that each question expects."""
    block = load.embedders.comparing
    if block is None:
        return NOTHING
    said, most = _said(chosen, load, model, block), list[int]()
    for answers in expected:
        tokens = said + sum(_tokens(answer, block) for answer in answers)
        most.append(_most(block, 1 + len(answers), tokens, block.document_prefix) if answers else 0)
    likely = sum(expected_output(load) + sum(map(about_tokens, answers)) for answers in expected if answers)
    return _sums(block, likely, most)


def plus(*parts: Sums) -> Sums:
    """Return what all of these come to, each time together."""
    return Sums(
        sum(one.prompt for one in parts),
        sum(one.output for one in parts),
        total([one.dollars for one in parts]),
        sum(one.worst_tokens for one in parts),
        total([one.worst for one in parts]),
        total([one.dearest for one in parts]),
    )


def _of_questions(load: Load, model: LanguageModel, block: Embedder | None) -> Sums:
    if block is None:
        return NOTHING
    counts = load.as_understood(block.model) if model.targets else load.as_asked(block.model)
    before = _tokens(block.query_prefix, block)
    return _sums(block, sum(map(about_tokens, load.questions)), [before + count for count in counts])


def of_answer(chosen: Answering, load: Load, model: LanguageModel) -> Sums:
    """Sum what it takes to extract this persona's answers, or to hold those of a model against the passages.

    That is what `cite` embeds, and `find`, which reads a few sentences for a question and for each part of it.
    """
    block = load.embedders.comparing
    if block is None:
        return NOTHING
    passages = [_tokens(passage, block) for passage in load.longest[: chosen.retrieval.passages]]
    few, cited, most = sum(sorted(passages)[-EMBEDDED:]), 0, list[int]()
    if model.targets:
        claims = 1 + _spoken(chosen, model) // TOKENS_A_CLAIM
        once = _said(chosen, load, model, block) + WINDOWS * sum(passages)
        cited = LOOKS * _most(block, claims * (1 + SHORTLISTED), once, block.document_prefix)
    for question in load.questions:
        parts = [] if model.targets else parts_of(question)
        asked = [question, *(part.text for part in parts)]
        read = [_most(block, 1 + EMBEDDED, _tokens(each, block) + few, block.document_prefix) for each in asked]
        most.append(cited + sum(read))
    output = expected_output(load) * (1 + SHORTLISTED) if model.targets else 0
    likely = sum(about_tokens(question) + EMBEDDED * SENTENCE_TOKENS + output for question in load.questions)
    return _sums(block, likely, most)


def _said(chosen: Answering, load: Load, model: LanguageModel, block: Embedder) -> int:
    """Return the most tokens of an answer, as the embedder counts them."""
    if model.targets:
        return BYTES_A_TOKEN * _spoken(chosen, model)
    return sum(_tokens(passage, block) for passage in load.longest[: chosen.retrieval.passages])


def _spoken(chosen: Answering, model: LanguageModel) -> int:
    targets = model.preferring(chosen.target).for_role(chosen.persona.role)
    return max(target.max_output_tokens for target in targets)


def _tokens(text: str, block: Embedder) -> int:
    """Return the most tokens of a text by itself."""
    return count_prompt([text], block.model).tokens - count_prompt([""], block.model).tokens


def _most(block: Embedder, texts: int, tokens: int, prefix: str) -> int:
    """Return the most that so many texts of so many tokens can be counted as, batch by batch."""
    request = count_prompt([], block.model).tokens
    each = count_prompt([prefix], block.model).tokens - request
    return tokens + texts * each + math.ceil(texts / block.batch_size) * request


def _sums(block: Embedder, likely: int, most: Sequence[int]) -> Sums:
    """Sum calls of so many tokens; `most` is what there may be for each question."""
    amount = embedding_price(block)
    price = None if amount is None else Price(amount, Decimal(0))
    dollars = [cost(price, Usage(prompt_tokens=tokens, completion_tokens=0)) for tokens in most]
    expected = cost(price, Usage(prompt_tokens=likely, completion_tokens=0))
    return Sums(likely, 0, expected, sum(most), total(dollars), dearest(dollars) if dollars else Decimal(0))
