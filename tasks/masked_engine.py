"""The engine that keeps personal data from models: what leaves is masked, what comes back is restored."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from dspy import lm15

from blocks.engines import Capabilities
from kowai.masking import Masking, Restoring

Hear = Callable[[str], None]


class Relay:
    """Hand on the pieces of a reply as they come, restored once it is known what was masked."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear
        self._restoring: Restoring | None = None

    def begin(self, masking: Masking) -> None:
        self._restoring = Restoring(masking)

    def __call__(self, piece: str) -> None:
        self._say(self._restoring.hear(piece) if self._restoring else piece)

    def end(self) -> None:
        self._say(self._restoring.rest() if self._restoring else "")

    def _say(self, text: str) -> None:
        if text:
            self._hear(text)


class MaskedEngine(Capabilities):
    """Speak through another engine; `relay` is who hears that engine's pieces, if anybody does."""

    def __init__(self, engine: Any, relay: Relay | None = None) -> None:
        self._engine, self._relay = engine, relay

    async def complete(self, request: lm15.Request) -> lm15.Response:
        masked, masking = mask_request(request)
        if self._relay is not None:
            self._relay.begin(masking)
        response = await self._engine.complete(masked)
        if self._relay is not None:
            self._relay.end()
        return replace(response, message=replace(response.message, parts=_restored(response.message.parts, masking)))

    async def stream(self, request: lm15.Request) -> AsyncGenerator[Any]:
        masked, masking = mask_request(request)
        restoring = Restoring(masking)
        async with aclosing(self._engine.stream(masked)) as events:
            async for event in events:
                if event.type == "delta" and event.delta.type == "text":
                    event = _saying(event.delta, restoring.hear(event.delta.text))
                elif event.type == "end" and (rest := restoring.rest()):
                    yield _saying(lm15.TextDelta(rest), rest)
                yield event

    async def aclose(self) -> None:
        """Leave the engine to its owner."""


def mask_request(request: lm15.Request) -> tuple[lm15.Request, Masking]:
    """Return the request without personal data, and what restores the reply; the same request is masked the same."""
    texts = [part.text for message in request.messages for part in message.parts if part.type == "text"]
    system = [request.system] if isinstance(request.system, str) else [_text(part) for part in request.system or ()]
    masking = Masking("\n".join([*system, *texts]))
    told = request.system
    if isinstance(told, str):
        told = masking.mask(told)
    elif told is not None:
        told = tuple(_masked(part, masking) for part in told)
    messages = tuple(
        replace(message, parts=tuple(_masked(part, masking) for part in message.parts)) for message in request.messages
    )
    return replace(request, system=told, messages=messages), masking


def _masked(part: Any, masking: Masking) -> Any:
    return replace(part, text=masking.mask(part.text)) if part.type == "text" else part


def _restored(parts: tuple[Any, ...], masking: Masking) -> tuple[Any, ...]:
    return tuple(replace(part, text=masking.restore(part.text)) if part.type == "text" else part for part in parts)


def _saying(delta: Any, text: str) -> Any:
    return lm15.StreamDeltaEvent(delta=replace(delta, text=text))


def _text(part: Any) -> str:
    return part.text if part.type == "text" else ""
