"""Tell an answer while it is written: a few events a second, however fast the model speaks."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from kowai.telling import showable
from kowai.types import Question
from tasks.event_log import Fact, tell

BETWEEN_SECONDS = 0.08
STARTED, TEXT = "answer.started", "answer.text"  # what was told before the last start is void
BEGUN: tuple[str, Mapping[str, str]] = STARTED, {}

Hear = Callable[[str], None]


async def tell_written(question: Question, text: str) -> None:
    """Tell a finished text in one transaction, a few words an event; nothing when nobody follows."""
    if question.streamed:
        await tell(question.id, question.tenant_id, BEGUN, *((TEXT, {"text": words}) for words in _words(text)))


@asynccontextmanager
async def telling(question: Question, field: str) -> AsyncGenerator[Hear | None]:
    """Give out who hears the pieces of a model's reply and tells its `field`; None when nobody follows."""
    if not question.streamed:
        yield None
        return
    teller = Teller(question, field)
    at_work = asyncio.create_task(teller.work())
    try:
        yield teller.hear
        teller.stop()
        await at_work
    finally:
        at_work.cancel()
        with suppress(asyncio.CancelledError):
            await at_work


class Teller:
    """Hear pieces, and write what may be shown of them into the log: the first at once, the others in batches."""

    def __init__(self, question: Question, field: str) -> None:
        self._question, self._field = question, field
        self._heard = list[str]()
        self._told = ""
        self._news, self._ended = asyncio.Event(), asyncio.Event()

    def hear(self, piece: str) -> None:
        self._heard.append(piece)
        self._news.set()

    def stop(self) -> None:
        """Let `work` end with what was heard."""
        self._ended.set()
        self._news.set()

    async def work(self) -> None:
        await tell(self._question.id, self._question.tenant_id, BEGUN)
        while not self._ended.is_set():
            await self._news.wait()
            self._news.clear()
            await self._tell()
            with suppress(TimeoutError):
                async with asyncio.timeout(BETWEEN_SECONDS):
                    await self._ended.wait()
        await self._tell()

    async def _tell(self) -> None:
        text = showable("".join(self._heard), self._field)
        fresh = text[len(self._told) :]
        if fresh:
            self._told = text
            await tell(self._question.id, self._question.tenant_id, (TEXT, {"text": fresh}))


def told_text(facts: Sequence[Fact]) -> str:
    """Return what was told of an answer since it was last begun."""
    begun = max((place for place, fact in enumerate(facts) if fact.kind == STARTED), default=0)
    return "".join(str(fact.payload["text"]) for fact in facts[begun:] if fact.kind == TEXT)


def _words(text: str) -> list[str]:
    return re.findall(r"(?:\S+\s*){1,4}", text)
