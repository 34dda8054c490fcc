"""The field: the few sentences that may answer a question, closest first, and what the judge is told of one of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np

from kowai.embedding.states import Encoded
from kowai.extraction.alignment import Tokens, alignment, tokens_of
from kowai.extraction.asked import Asked
from kowai.extraction.defining import asks_what_it_is, says_what_it_is
from kowai.extraction.evidence import gather, telling
from kowai.extraction.model import confidence_of
from kowai.extraction.pair_reader import read_together
from kowai.extraction.reading import closest, nearest, shortlist
from kowai.extraction.sentence_features import Close, sentence_features
from kowai.quoting import Embed
from kowai.types import Passage

DEFINITION = 0.8  # at least: in SQuAD 2.0 all such sentences answered what was asked, but they were few
Read = Callable[[str, Sequence[str]], Awaitable[Sequence[Encoded] | None]]  # a question first, then sentences


class Field(NamedTuple):
    """Hold a question, its tokens where the encoder shows them, and the sentences that were read for it.

    The first sentence is the one to quote. `nearest` is the one nearest by words and meaning alone, None without any.
    """

    asked: Asked
    tokens: Tokens | None
    sentences: tuple[Close, ...]
    nearest: Close | None

    def described(self, close: Close) -> dict[str, float]:
        """Return the features of a sentence; those of its tokens are there or lacking together."""
        features = sentence_features(self.asked, close, self.sentences)
        if self.tokens is None or close.tokens is None:
            return features
        others = [other.tokens for other in self.sentences if other is not close and other.tokens]
        read = read_together(self.tokens.encoded, close.tokens.encoded)
        return features | read | alignment(self.tokens, [close.tokens, *others])

    def confidence(self, close: Close) -> float:
        """Return how likely it is that a sentence answers, in [0, 1]; the judge knows too few definitions."""
        sure = confidence_of(self.described(close))
        defined = asks_what_it_is(self.asked) and says_what_it_is(self.asked, close.sentence.said)
        return max(sure, DEFINITION) if defined else sure

    def answerable(self) -> float:
        """Return how likely it is that the passages hold an answer: what the nearest sentence lacks tells it best."""
        return self.confidence(self.nearest) if self.nearest else 0.0


async def unread(question: str, sentences: Sequence[str]) -> None:
    """Show the states of no tokens."""


async def find(question: Asked, passages: Sequence[Passage], embed: Embed, read: Read = unread) -> Field:
    """Return the few sentences that may answer, closest first: only they are embedded."""
    evidence = gather(question, passages) if question.terms else []
    places = shortlist(question, evidence)
    if not places:
        return Field(question, None, (), None)
    said = [evidence.sentences[at].text for evidence, at in places]
    texts = [question.text, *said]
    encoded = await read(question.text, said)
    vectors = await embed(texts) if encoded is None else np.array([each.vector for each in encoded])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    tokens = [tokens_of(*each) for each in zip(texts, encoded, strict=True)] if encoded else [None] * len(texts)
    field = [Close(*place, cosine, said) for place, cosine, said in zip(places, cosines, tokens[1:], strict=True)]
    return Field(question, tokens[0], closest(telling(question, evidence), field), nearest(question, field))
