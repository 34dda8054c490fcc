"""An engine with an allowance of its own: no call begins once it is used up, and the last call may exceed it."""

import asyncio
import time
from decimal import Decimal
from typing import Any

from dspy import lm15

from blocks.engines import Capabilities
from kowai.allowance import Taken, may_start
from kowai.errors import BudgetExhausted
from kowai.pricing import total
from kowai.suites import Limits
from tasks.metered_engine import Spoken


class Purse:
    """Hold what many calls together may take, replayed ones included; `is_empty` once a call was refused.

    What may be billed for calls that nobody heard of again counts as well.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits, self.is_empty = limits, False
        self.calls: list[Spoken] = []
        self.unheard: list[Decimal] = []
        self._began, self._running, self._turn = time.monotonic(), 0, asyncio.Condition()

    @property
    def tokens(self) -> int:
        return sum(_tokens(call) for call in self.calls)

    @property
    def dollars(self) -> Decimal | None:
        """Return what the calls cost; None where one call's price is not known."""
        costs = [call.cost for call in self.calls]
        return total([*costs, *self.unheard])

    async def enter(self) -> None:
        """Wait until one more call fits beside those under way. Raises BudgetExhausted when nothing is left."""
        async with self._turn:
            while (start := may_start(self._heeded(), self._taken())) == "wait":
                await self._turn.wait()
            if start == "stop":
                self.is_empty = True
                raise BudgetExhausted("The optimisation's budget is used up.")
            self._running += 1

    async def leave(self) -> None:
        async with self._turn:
            self._running -= 1
            self._turn.notify_all()

    def _heeded(self) -> Limits:
        """Return the limits without that in dollars once calls have turned out to be free."""
        is_free = bool(self.calls) and not any(call.cost for call in self.calls) and not any(self.unheard)
        return self.limits.model_copy(update={"dollars": None}) if is_free and self.limits.dollars else self.limits

    def _taken(self) -> Taken:
        costs = [*(call.cost or Decimal(0) for call in self.calls), *self.unheard]
        each = (max(map(_tokens, self.calls), default=0), max(costs, default=Decimal(0)))
        minutes = (time.monotonic() - self._began) / 60
        return Taken(self.tokens, sum(costs, Decimal(0)), minutes, self._running, *each)


def _tokens(call: Spoken) -> int:
    return (call.usage.prompt_tokens or 0) + (call.usage.completion_tokens or 0)


class LimitedEngine(Capabilities):
    """Speak through another engine for as long as something is left in the purse."""

    def __init__(self, engine: Any, purse: Purse) -> None:
        self._engine, self._purse = engine, purse

    async def complete(self, request: lm15.Request) -> lm15.Response:
        await self._purse.enter()
        try:
            return await self._engine.complete(request)
        finally:
            await self._purse.leave()

    async def aclose(self) -> None:
        """Leave the engine to its owner."""
