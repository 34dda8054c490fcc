"""Rereading: replies that were paid for once, parsed again; no model is asked and nothing is spent."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any
from uuid import UUID

import dspy
from dspy import lm15

# Public in lm15, not re-exported by DSPy, whose version is pinned exactly.
from dspy._vendor.lm15.serde import response_from_dict
from dspy.utils.exceptions import AdapterParseError
from sqlalchemy import select
from sqlmodel import col

from blocks.connections import database
from blocks.engines import Capabilities
from kowai.errors import ModelUnreadable, NothingToReplay
from kowai.tables.ledger import ModelCall
from kowai.types import Reply, Usage
from tasks.masked_engine import MaskedEngine
from tasks.speaking import say

GONE = "The model's reply is no longer stored: replay with a fresh one, which is paid."


class StoredEngine(Capabilities):
    """Answer every request with one stored reply."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self._reply = reply

    async def complete(self, request: lm15.Request) -> lm15.Response:
        return response_from_dict(self._reply)

    async def stream(self, request: lm15.Request) -> AsyncGenerator[Any]:
        for event in lm15.response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Hold nothing open."""


class Rereading:
    """Stand in for `metered.ask`: each call returns the next of the stored replies."""

    def __init__(self, calls: Sequence[UUID], tenant_id: UUID) -> None:
        self._calls: Iterator[UUID] = iter(calls)
        self._tenant_id = tenant_id

    async def ask(
        self, signature: type[dspy.Signature], inputs: dict[str, Any], *, plain: str | None = None, **_: Any
    ) -> Reply:
        """Return the stored reply in the form of `signature`. Raises NothingToReplay and ModelUnreadable."""
        call_id = next(self._calls, None)
        row = await _find(call_id, self._tenant_id) if call_id else None
        if call_id is None or row is None or not row.reply:
            raise NothingToReplay(GONE)
        try:
            engine = MaskedEngine(StoredEngine(row.reply))
            fields = await say(engine, signature, inputs, role="stored", plain=plain)
        except AdapterParseError:
            raise ModelUnreadable("The stored reply does not have the form that is asked for now.") from None
        usage = Usage(prompt_tokens=row.prompt_tokens, completion_tokens=row.completion_tokens)
        spoken: dict[str, Any] = {"model": row.target, "usage": usage, "cost": row.cost, "fallback": row.fallback}
        return Reply(fields=fields, call_id=call_id, **spoken)


async def _find(call_id: UUID, tenant_id: UUID) -> Any:
    names = ("reply", "target", "prompt_tokens", "completion_tokens", "cost", "fallback")
    found: Any = select(*(getattr(ModelCall, name) for name in names)).where(col(ModelCall.id) == call_id)
    async with (await database()).transaction(tenant_id) as connection:
        return (await connection.execute(found)).one_or_none()
