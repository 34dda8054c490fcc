"""Conversations: what is remembered of them, and what a follow-up means once the turns before it are known."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from kowai.sentences import sentence_spans
from kowai.types import Turn

CARRIED_TURNS = 2
LONGEST_CARRY = 1_000
LONG_QUESTION = 600  # characters; what is beyond the embedder's window would not be searched for
HISTORY_TOKENS, SUMMARY_TOKENS = 1_500, 400
BYTES_PER_TOKEN = 4
GIST = 160


class Exchange(NamedTuple):
    """Hold one numbered turn: what was asked, and the answer if there was one."""

    turn: int
    asked: str
    answered: str | None

    def turns(self) -> tuple[Turn, ...]:
        asked = Turn(role="user", text=self.asked)
        return (asked, Turn(role="assistant", text=self.answered)) if self.answered else (asked,)

    def tokens(self) -> int:
        return sum(about_tokens(turn.text) for turn in self.turns())


class Memory(NamedTuple):
    """Split a conversation into what has to be summarised and what is told word for word, both oldest first."""

    older: tuple[Exchange, ...]
    recent: tuple[Exchange, ...]


def standalone(question: str, history: Sequence[Turn]) -> str:
    """Return the text to search for: the question behind the user's last two turns.

    Carrying them costs nothing and is worth 6 to 10 points of nDCG@10 on multi-turn questions (MTRAG-UN pool).
    """
    asked = [turn.text[:LONGEST_CARRY] for turn in history if turn.role == "user"]
    return "\n".join([*asked[-CARRIED_TURNS:], question])


def needs_rephrasing(question: str, history: Sequence[Turn]) -> bool:
    """Tell whether a question has to be put in other words before it can be searched for."""
    return bool(history) or len(question) > LONG_QUESTION


def about_tokens(text: str) -> int:
    """Estimate a text's tokens from its bytes."""
    return math.ceil(len(text.encode(errors="replace")) / BYTES_PER_TOKEN)


def memory_of(exchanges: Sequence[Exchange], budget: int = HISTORY_TOKENS) -> Memory:
    """Keep everything while it fits into `budget` tokens, else the latest that fit into half of it.

    Half, so that a long conversation is summarised now and then and not at every turn.
    """
    if sum(exchange.tokens() for exchange in exchanges) <= budget:
        return Memory((), tuple(exchanges))
    kept, left = len(exchanges), budget // 2
    while kept and exchanges[kept - 1].tokens() <= left:
        kept -= 1
        left -= exchanges[kept].tokens()
    return Memory(tuple(exchanges[:kept]), tuple(exchanges[kept:]))


def gist(summary: str, exchanges: Sequence[Exchange], budget: int = SUMMARY_TOKENS) -> str:
    """Add the first sentence of each question and answer to a summary; its oldest lines make room for new ones."""
    lines = [*summary.splitlines(), *(_line(exchange) for exchange in exchanges)]
    while len(lines) > 1 and about_tokens("\n".join(lines)) > budget:
        del lines[0]
    return "\n".join(lines)


def transcript(turns: Sequence[Turn]) -> str:
    """Write turns down, one a paragraph, each behind who said it."""
    return "\n\n".join(f"{turn.role}: {turn.text}" for turn in turns)


def _line(exchange: Exchange) -> str:
    answer = f" - {_first_sentence(exchange.answered)}" if exchange.answered else ""
    return f"{_first_sentence(exchange.asked)}{answer}"


def _first_sentence(text: str) -> str:
    spans = sentence_spans(text)
    first = " ".join((text[spans[0].start : spans[0].end] if spans else text).split())
    return first if len(first) <= GIST else f"{first[:GIST].rstrip()} ..."
