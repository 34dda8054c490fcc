"""The field: the few sentences that may answer a question, closest first, and what the judge is told of one of them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import numpy as np

from kowai.embedding.states import Encoded
from kowai.extraction.alignment import Tokens, alignment, tokens_of
from kowai.extraction.asked import Asked
from kowai.extraction.evidence import gather
from kowai.extraction.reading import closest, shortlist
from kowai.extraction.sentence_features import Close, sentence_features
from kowai.quoting import Embed
from kowai.types import Passage

Read = Callable[[str, Sequence[str]], Awaitable[Sequence[Encoded] | None]]  # a question first, then sentences


class Field(NamedTuple):
    """Hold a question, its tokens where the encoder shows them, and the sentences that were read for it."""

    asked: Asked
    tokens: Tokens | None
    sentences: tuple[Close, ...]

    def described(self, close: Close) -> dict[str, float]:
        """Return the features of a sentence; those of its tokens are there or lacking together."""
        features = sentence_features(self.asked, close, self.sentences)
        others = [other for other in self.sentences if other is not close]
        field = [each.tokens for each in (close, *others) if each.tokens]
        return features | alignment(self.tokens, field) if self.tokens else features


async def unread(question: str, sentences: Sequence[str]) -> None:
    """Show the states of no tokens."""


async def find(question: Asked, passages: Sequence[Passage], embed: Embed, read: Read = unread) -> Field:
    """Return the few sentences that may answer, closest first: only they are embedded."""
    places = shortlist(question, gather(question, passages)) if question.terms else []
    if not places:
        return Field(question, None, ())
    said = [evidence.sentences[at].text for evidence, at in places]
    texts = [question.text, *said]
    encoded = await read(question.text, said)
    vectors = await embed(texts) if encoded is None else np.array([each.vector for each in encoded])
    cosines: list[float] = (vectors[1:] @ vectors[0]).tolist()
    tokens = [tokens_of(*each) for each in zip(texts, encoded, strict=True)] if encoded else [None] * len(texts)
    field = [Close(*place, cosine, said) for place, cosine, said in zip(places, cosines, tokens[1:], strict=True)]
    return Field(question, tokens[0], closest(question, field))
