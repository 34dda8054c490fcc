"""The engine that DSPy speaks through: no request leaves before its worst case is reserved, no reply is lost."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from dspy import lm15

# Public in lm15, not re-exported by DSPy, whose version is pinned exactly.
from dspy._vendor.lm15.serde import request_to_dict, response_from_dict, response_to_dict

from blocks.billing import may_be_billed
from blocks.engines import AsyncFailover, Capabilities, addressed, prompt_texts
from blocks.language_model import LanguageModel, Target
from blocks.price_table import price_of
from blocks.tokens import count_prompt
from kowai.errors import KowaiError, PriceUnknown
from kowai.pricing import FREE, cost, worst_case
from kowai.standing import AccessEnded
from kowai.types import Usage
from tasks import accounts, spool
from tasks.accounts import Ahead, Purpose, Stored
from tasks.finishing import finish
from tasks.spool import Settlement

Hear = Callable[[str], None]


class Spoken(NamedTuple):
    """Say which target answered one call, and what it used and cost."""

    call_id: UUID
    target: str
    fallback: bool
    usage: Usage
    cost: Decimal | None


class MeteredEngine(Capabilities):
    """Speak for one tenant; `calls` lists what was said, replays included, `unheard` the dollars charged besides."""

    def __init__(self, model: LanguageModel, purpose: Purpose, *, sample: int = 0, hear: Hear | None = None) -> None:
        self.purpose, self.calls, self.unheard = purpose, list[Spoken](), list[Decimal]()
        self.refusal: KowaiError | None = None
        self.model, self._sample, self._hear = model, sample, hear
        self._failover = AsyncFailover(model.for_role(purpose.role))
        self.first = self._failover.targets[0]

    async def complete(self, request: lm15.Request) -> lm15.Response:
        """Return the stored reply, or ask, store and settle before anybody reads it; `hear` gets it as it comes."""
        if self._hear is not None:
            return await self._heard(request, self._hear)
        call = Call(self, request)
        stored = await call.open(self._digest(request))
        if stored:
            return self._replayed(call.id, stored)
        try:
            async with accounts.renewed(call.id, self.purpose.tenant_id):
                response = await self._failover.complete(request, call.admit)
        except BaseException as error:
            self._note(error)
            if may_be_billed(error):  # whether it is nobody knows: assume so
                await finish(call.abandon(call.reserved))
            else:
                await finish(accounts.release(call.id, self.purpose.tenant_id, type(error).__name__))
            raise
        await finish(call.settle(response))
        return response

    async def _heard(self, request: lm15.Request, hear: Hear) -> lm15.Response:
        async with aclosing(self.stream(request)) as events:

            async def listened() -> AsyncGenerator[Any]:
                async for event in events:
                    if event.type == "delta":
                        hear(_text_of(event))
                    yield event

            return await lm15.amaterialize_response(listened(), request)

    async def stream(self, request: lm15.Request) -> AsyncGenerator[Any]:
        """Yield events; a stream that is left or breaks half-way is charged for what it said."""
        call = Call(self, request)
        stored = await call.open(self._digest(request))
        if stored:
            for event in lm15.response_to_events(self._replayed(call.id, stored)):
                yield event
            return
        said: list[str] = []
        try:
            events = self._failover.stream(request, call.admit)
            async with accounts.renewed(call.id, self.purpose.tenant_id), aclosing(events):
                async for event in events:
                    if event.type == "end":
                        await finish(call.settle(_assembled(said, event, call.target)))
                    elif event.type == "delta":
                        said.append(_text_of(event))
                    yield event
        except BaseException as error:
            self._note(error)
            left = isinstance(error, GeneratorExit) or may_be_billed(error)
            await finish(call.end_early(said, type(error).__name__, left=left))
            raise

    def _note(self, error: BaseException) -> None:
        self.refusal = error if isinstance(error, KowaiError) else None

    async def aclose(self) -> None:
        """Leave the connections to the other engines of this loop."""

    def _digest(self, request: lm15.Request) -> str:
        """Hash what is asked and of whom: another endpoint, model or limit is another request."""
        targets = [(target.endpoint, target.model, target.max_output_tokens) for target in self._failover.targets]
        asked = [self._sample, targets, request_to_dict(request)]
        return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()

    def _replayed(self, call_id: UUID, stored: Stored) -> lm15.Response:
        self.calls.append(Spoken(call_id, stored.target, stored.fallback, stored.usage, stored.cost))
        return response_from_dict(stored.reply)

    def is_fallback(self, target: Target) -> bool:
        return target is not self.first


class Call:
    """Follow one request from its first reservation to its settlement."""

    def __init__(self, engine: MeteredEngine, request: lm15.Request) -> None:
        self.id, self.reserved = uuid4(), Decimal(0)
        self.target: Target | None = None
        self._engine, self._request, self._prompt_tokens = engine, request, 0
        self._purpose, self._ended = engine.purpose, False
        self._ahead: Ahead | None = None

    async def open(self, digest: str) -> Stored | None:
        """Open the call, the first target's worst case reserved with it where possible; return what is stored."""
        amount = self._worst_case(first := self._engine.first, self._request)
        ahead = None if amount is None else Ahead(first, amount, self._engine.model)
        try:
            opened = await accounts.open_call(digest, self._engine.purpose, ahead)
        except AccessEnded as ended:
            self._engine.refusal = ended
            raise
        self.id, self._ahead = opened.call_id, ahead if opened.is_reserved else None
        return opened.stored

    async def admit(self, target: Target, request: lm15.Request, failure: Exception | None = None) -> None:
        """Reserve the worst case at this target's price. Raises BudgetExhausted and PriceUnknown.

        Where the one before may bill its `failure` all the same, that is counted apart.
        """
        if failure is not None and may_be_billed(failure):
            await finish(self._lose())
        if self._ahead is not None and self._ahead.target is target:
            amount: Decimal | None = self._ahead.amount
        else:
            amount = self._worst_case(target, request)
            if amount is None and not target.allow_unknown_price:
                raise PriceUnknown(
                    f"No price is known for '{target.name}': give it one in the block, or allow an unknown price there."
                )
            asked: Any = {"model": self._engine.model, "target": target, "fallback": self._engine.is_fallback(target)}
            await accounts.reserve(self.id, self._purpose, amount or Decimal(0), **asked)
        self.target, self.reserved = target, amount or Decimal(0)

    async def _lose(self) -> None:
        """Count the worst case of the target that was asked as spent; the call goes on without it."""
        if self.target is not None and self.reserved:
            await accounts.lose(self.id, self._purpose.tenant_id, self.reserved)
            self._engine.unheard.append(self.reserved)
            self._purpose = self._purpose.less(self.reserved)
        self.target, self.reserved = None, Decimal(0)

    def _worst_case(self, target: Target, request: lm15.Request) -> Decimal | None:
        """Return what the call can cost at most, None if unknown; a free model's tokens need no counting."""
        if price_of(target, 0) == FREE:
            return Decimal(0)
        self._prompt_tokens = count_prompt(prompt_texts(request), target.model).tokens
        price = price_of(target, self._prompt_tokens)
        return worst_case(price, self._prompt_tokens, addressed(request, target).config.max_tokens or 0)

    async def settle(self, response: lm15.Response) -> None:
        """Store the reply with what the provider reported; where it did not, the reservation is what counts."""
        usage = Usage(prompt_tokens=response.usage.input_tokens, completion_tokens=response.usage.output_tokens)
        assert self.target is not None
        spent = cost(price_of(self.target, usage.prompt_tokens or 0), usage)
        charged = self.reserved if spent is None else spent
        await self._close(usage, spent, charged=charged, reply=response_to_dict(response))
        fallback = self._engine.is_fallback(self.target)
        self._engine.calls.append(Spoken(self.id, self.target.name, fallback, usage, spent))

    async def end_early(self, said: list[str], cause: str, *, left: bool) -> None:
        """Charge a stream that ended early for what it said; one that failed before a word is released."""
        if self._ended:
            return
        if not said and not left:
            return await accounts.release(self.id, self._engine.purpose.tenant_id, cause)
        await self.abandon(self._charge(said) if self.target else Decimal(0))

    async def abandon(self, charged: Decimal) -> None:
        """Count money that was or may have been spent on a reply nobody will read again."""
        if self.target is None:
            return await accounts.release(self.id, self._engine.purpose.tenant_id, "abandoned")
        await self._close(Usage(), None, charged=charged, reply=None)

    def _charge(self, said: list[str]) -> Decimal:
        assert self.target is not None
        tokens = count_prompt(["".join(said)], self.target.model).tokens
        price = price_of(self.target, self._prompt_tokens)
        return min(self.reserved, worst_case(price, self._prompt_tokens, tokens) or Decimal(0))

    async def _close(self, usage: Usage, spent: Decimal | None, *, charged: Decimal, reply: Any) -> None:
        assert self.target is not None
        self._ended = True
        self._engine.unheard += [charged] if spent is None else []
        settlement = Settlement(
            call_id=self.id,
            tenant_id=self._engine.purpose.tenant_id,
            state="settled" if reply else "void",
            cause=None if reply else "abandoned",
            reply=reply,
            target=self.target.name,
            model=self.target.model,
            fallback=self._engine.is_fallback(self.target),
            usage=usage,
            cost=spent,
            charged=charged,
        )
        spool.keep(settlement)  # before anything can interrupt: not even a cancellation comes in between
        await accounts.settle(settlement)


def _text_of(event: lm15.StreamDeltaEvent) -> str:
    return getattr(event.delta, "text", None) or ""


def _assembled(said: list[str], end: lm15.StreamEndEvent, target: Target | None) -> lm15.Response:
    """Return the reply that the events told."""
    return lm15.Response(
        id=None,
        model=target.model if target else "unknown",
        message=lm15.Message.assistant("".join(said)),
        finish_reason=end.finish_reason or "stop",
        usage=end.usage or lm15.Usage(),
    )
