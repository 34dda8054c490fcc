"""A told answer as OpenAI's chat completion chunks."""

import json
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from deployments.shim.answers import Answer
from deployments.shim.openai_answers import error_of, extras, text_of, usage_of
from deployments.shim.streams import EventStream
from kowai.telling import struck_out
from kowai.types import Citation
from tasks.event_log import FINAL, Fact
from tasks.tell import STARTED, TEXT

WAITING = ": waiting\n\n"


class ChunkStream(EventStream):
    """Send chunks, and errors as OpenAI does: without a name."""

    refusal = "data: {}\n\n"


class Chunks:
    """Turn facts into chunks: words as they are told, then whatever the checked answer has beyond them."""

    def __init__(self, query_id: Any, persona: str, *, include_usage: bool) -> None:
        self._envelope = {
            "id": f"chatcmpl-{query_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": persona,
        }
        self._include_usage = include_usage
        self._told, self._broken = "", False

    async def of(self, told: AsyncGenerator[list[Fact]], read: Any) -> AsyncGenerator[str]:
        """Yield the chunks of one answer, which `read` returns once it is finished."""
        yield self._chunk({"role": "assistant", "content": ""})
        async with aclosing(told):
            async for facts in told:
                fresh = [text for fact in facts if (text := self._fresh(fact))]
                yield "".join(self._chunk({"content": text}) for text in fresh) or WAITING
                if facts and facts[-1].kind in FINAL:
                    for end in self._ends(await read()):
                        yield end

    def _fresh(self, fact: Fact) -> str:
        """Return what to say of a fact; what was said cannot be unsaid, so a second start is kept for the end."""
        if fact.kind == STARTED:
            self._broken = bool(self._told)
        if fact.kind != TEXT or self._broken:
            return ""
        self._told += fact.payload["text"]
        return fact.payload["text"]

    def _ends(self, answer: Answer) -> list[str]:
        error = error_of(answer)
        if error is not None:
            return [_event(error)]
        rest = ending(self._told, text_of(answer), answer.citations)
        chunks = [self._chunk({"content": rest})] if rest else []
        chunks.append(self._chunk(extras(answer), "stop"))
        if self._include_usage:
            chunks.append(_event(self._envelope | {"choices": [], "usage": usage_of(answer)}))
        return [*chunks, "data: [DONE]\n\n"]

    def _chunk(self, delta: dict[str, Any], reason: str | None = None) -> str:
        return _event(self._envelope | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def ending(told: str, answer: str, citations: Sequence[Citation]) -> str:
    """Return what has to follow the words that were told: nothing, their sources, or the answer that replaces them."""
    if told == answer:
        return ""
    if not told:
        return answer
    if struck_out(told, answer) or not citations:
        return f"\n\nChecked against your documents: {answer}"
    return "\n\n" + "\n".join(_source(number, citation) for number, citation in enumerate(citations, 1))


def _source(number: int, citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    return f"[{number}] {citation.title or citation.external_id}{page}: “{' '.join(citation.quote.split())}”"


def _event(data: dict[str, Any]) -> str:
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"
