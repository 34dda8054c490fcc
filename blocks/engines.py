"""DSPy engines that ask one target after another: your own models first, the next one when a target fails."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar, cast

from dspy import lm15

# Public in lm15, not re-exported by DSPy, whose version is pinned exactly.
from dspy._vendor.lm15.serde import request_to_dict, response_from_dict, response_to_dict

from blocks.language_model import Target
from blocks.speakers import speaker
from kowai.circuits import Circuit
from kowai.errors import KowaiError
from kowai.overflow import is_overflow
from kowai.storable import replaced

R = TypeVar("R")
Admit = Callable[[Target, lm15.Request, Exception | None], Awaitable[None]]  # with how the one before failed
Attempt = Callable[[Target, lm15.Request], Awaitable[R]]

STREAM_FACTOR = 10  # a stream may take ten times as long as a reply, as long as its parts keep coming

# The target's failures, not the request's. A wrong key is the operator's to see, so it is none of these.
FAIL_OVER = (
    lm15.TransportError,
    lm15.TimeoutError,
    lm15.ServerError,
    lm15.RateLimitError,
    lm15.BillingError,
    lm15.UnsupportedModelError,
    lm15.StreamAssemblyError,
)

_circuits: dict[tuple[str, str], Circuit] = {}


def circuit_of(target: Target) -> Circuit:
    """Return the target's circuit, which every engine of this process shares."""
    return _circuits.setdefault((target.endpoint, target.model), Circuit())


async def admit_all(_target: Target, _request: lm15.Request, _failure: Exception | None) -> None:
    return


class Capabilities:
    """Tell DSPy's adapters what OpenAI-compatible servers take; without it they would send no response format."""

    supports_function_calling = True
    supports_response_schema = True
    supports_reasoning = False
    supported_params = frozenset(
        {"temperature", "max_tokens", "top_p", "stop", "seed", "response_format", "tools", "tool_choice"}
    )


class AsyncFailover(Capabilities):
    """Ask the first target whose circuit lets a call through; one attempt per target, retries belong to the caller."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = tuple(targets)

    async def complete(self, request: lm15.Request, admit: Admit = admit_all) -> lm15.Response:
        """Return the first reply. Raises what the last target raised, or what `admit` did when it refused them all."""
        failure: Exception | None = None
        for target in self._open_targets():
            try:
                return await self._attempt(target, request, admit, failure)
            except (KowaiError, lm15.LM15Error) as error:
                failure = _go_on(error, failure)
        raise failure or self._resting()

    async def stream(
        self, request: lm15.Request, admit: Admit = admit_all
    ) -> AsyncGenerator[lm15.StreamStartEvent | lm15.StreamDeltaEvent | lm15.StreamEndEvent | lm15.StreamErrorEvent]:
        """Yield events; another target may be asked only while nothing has been said."""
        failure: Exception | None = None
        for target in self._open_targets():
            spoken = False
            try:
                async with aclosing(self._streamed(target, request, admit, failure)) as events:
                    async for event in events:
                        spoken = True
                        yield event
                return
            except (KowaiError, lm15.LM15Error) as error:
                if spoken:
                    raise
                failure = _go_on(error, failure)
        raise failure or self._resting()

    async def aclose(self) -> None:
        """Leave the connections to the other engines of this loop."""

    def _open_targets(self) -> Iterator[Target]:
        return (target for target in self.targets if circuit_of(target).enter(time.monotonic()))

    def _resting(self) -> lm15.TransportError:
        wait = min((circuit_of(target).rests(time.monotonic()) for target in self.targets), default=0.0)
        return lm15.TransportError(f"every target is resting after failures; the next is tried in {wait:.0f} s")

    async def _attempt(
        self, target: Target, request: lm15.Request, admit: Admit, failure: Exception | None
    ) -> lm15.Response:
        circuit = circuit_of(target)
        try:
            await admit(target, request, failure)
            async with asyncio.timeout(target.timeout_seconds):
                response = _storable(await speaker(target).complete(addressed(request, target)))
        except BaseException as error:
            judged = _judged(error, circuit)
            if judged is error:
                raise
            raise judged from error
        circuit.succeed()
        return response

    async def _streamed(
        self, target: Target, request: lm15.Request, admit: Admit, failure: Exception | None
    ) -> AsyncGenerator[Any]:
        circuit, ended = circuit_of(target), False
        held: list[Any] = []  # the start says nothing yet, so another target may still take over
        try:
            await admit(target, request, failure)
            async with aclosing(_events(target, request)) as events:
                async for event in events:
                    if event.type == "error":
                        raise lm15.ServerError(event.error.message)
                    held.append(event)
                    ended = ended or event.type == "end"
                    if event.type != "start":
                        for waiting in held:
                            yield waiting
                        held.clear()
            if not ended:
                raise lm15.StreamAssemblyError("the stream ended before its last event")
        except BaseException as error:
            judged = _judged(error, circuit)
            if judged is error:
                raise
            raise judged from error
        circuit.succeed()


class BlockingEngine(Capabilities):
    """Let a worker thread use an async engine: the sync half of a pair, for DSPy's optimisers and evaluators."""

    def __init__(self, engine: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._engine, self._loop = engine, loop

    def complete(self, request: lm15.Request) -> lm15.Response:
        return self._await(self._engine.complete(request))

    def stream(self, request: lm15.Request) -> Iterator[Any]:
        events = self._engine.stream(request)
        try:
            while (event := self._await(anext(events, None))) is not None:
                yield event
        finally:
            self._await(events.aclose())

    def close(self) -> None:
        """Leave the async engine to its owner."""

    def _await(self, work: Awaitable[Any]) -> Any:
        coroutine = cast(Coroutine[Any, Any, Any], _awaited(work))
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


async def _awaited(work: Awaitable[R]) -> R:
    return await work


def prompt_texts(request: lm15.Request) -> list[str]:
    """Return everything that becomes prompt tokens: texts, and whatever else as the JSON that is sent."""
    asked = request_to_dict(replace(request, model="any"))
    parts = [part for message in asked.pop("messages") for part in message["parts"]]
    others = [part for part in parts if part["type"] != "text"]
    return [*(part["text"] for part in parts if part["type"] == "text"), json.dumps([asked, others])]


def addressed(request: lm15.Request, target: Target) -> lm15.Request:
    """Return the request as this target gets it: its model name, and never more output than was reserved for."""
    wanted = request.config.max_tokens or target.max_output_tokens
    config = replace(request.config, max_tokens=min(wanted, target.max_output_tokens))
    return replace(request, model=target.model, config=config)


async def _events(target: Target, request: lm15.Request) -> AsyncGenerator[Any]:
    """Yield the target's events, each in time, and all of them within the stream's own bound."""
    source = cast(AsyncGenerator[Any], speaker(target).stream(addressed(request, target)))
    async with aclosing(source) as events:
        until = time.monotonic() + STREAM_FACTOR * target.timeout_seconds
        while True:
            async with asyncio.timeout(min(target.timeout_seconds, until - time.monotonic())):
                event = await anext(events, None)
            if event is None:
                return
            yield _storable_event(event)


def _storable(response: lm15.Response) -> lm15.Response:
    """Return the reply without characters that no database takes: some models say them, and it is paid all the same."""
    said = response_to_dict(response)
    stored = replaced(said)
    return response if stored == said else response_from_dict(stored)


def _storable_event(event: Any) -> Any:
    text = getattr(getattr(event, "delta", None), "text", None)
    stored = replaced(text)
    return event if stored == text else replace(event, delta=replace(event.delta, text=stored))


def _judged(error: BaseException, circuit: Circuit) -> BaseException:
    """Tell the circuit what the error says about its target; return it in lm15's terms."""
    if isinstance(error, TimeoutError):
        error = lm15.TimeoutError("no reply in time")
    if isinstance(error, lm15.InvalidRequestError) and is_overflow(error.message):
        error = lm15.ContextLengthError(error.message)
    if isinstance(error, FAIL_OVER) or _is_garbled(error):
        circuit.fail(time.monotonic(), getattr(error, "retry_after", None))
    else:
        circuit.leave()
    return error


def _go_on(error: KowaiError | lm15.LM15Error, earlier: Exception | None) -> Exception:
    """Return the error to report unless a later target answers; raise one that no other target can mend."""
    if isinstance(error, KowaiError):
        return earlier or error
    if isinstance(error, (*FAIL_OVER, lm15.ContextLengthError)) or _is_garbled(error):
        return error
    raise error


def _is_garbled(error: BaseException) -> bool:
    """Recognise a reply that was not one: lm15 has no narrower class for a body it cannot read."""
    return type(error) is lm15.ProviderError and (error.status is None or error.status < 400)
