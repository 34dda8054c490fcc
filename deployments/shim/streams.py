"""Answers told while they are written: each runs in this process for as long as somebody listens to it here."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from deployments.shim import access
from deployments.shim.access import SHUT_OUT, AccessCheck
from deployments.shim.errors import body
from deployments.shim.identity import Principal
from deployments.shim.meters import STREAMS
from deployments.shim.runs import Opening, Runs
from flows.answer import answer_query
from kowai.errors import Forbidden, KowaiError, NotFound, Unauthenticated
from tasks.enter import streaming
from tasks.event_log import Fact, Readers, announce
from tasks.record import close_stopped

log = structlog.get_logger()

DEPLOYMENT = "answer-query/answer-query"
GRACE_SECONDS = 0.4  # for a client that comes back at once
UNHEARD_SECONDS = 5.0  # for a client that left before it was told anything
STOPPED = "Nobody listened any more, so this answer was given up; ask again."


@dataclass
class Live:
    """Hold one answer under way: who listens, whether it is finished all the same, and what is said if it is not."""

    query_id: UUID
    finish: bool
    listeners: int = 0
    stopped: str = STOPPED
    task: asyncio.Task[None] = field(init=False)


class Streams:
    """Start answers and let any number of clients follow them, of this process or another."""

    def __init__(self, runs: Runs) -> None:
        self._runs, self._readers = runs, Readers()
        self._live: dict[UUID, Live] = {}

    async def serve(self) -> None:
        await self._readers.serve()

    async def close(self) -> None:
        """Give up what is under way, so that nobody waits for it."""
        tasks = [live.task for live in self._live.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def begin(self, query_id: UUID, opened: Opening, caller: Principal, *, finish: bool = False) -> None:
        """Answer a question stored with its run's record, for as long as the caller may ask.

        Unless it is to `finish`, only while somebody listens.
        """
        live = Live(query_id, finish)
        self._live[query_id] = live
        live.task = asyncio.create_task(self._answer(live, opened, caller))
        self._stop_unheard_after(UNHEARD_SECONDS, live)

    async def follow(self, query_id: UUID, caller: Principal, after: int = 0) -> AsyncGenerator[list[Fact]]:
        """Yield the facts behind sequence `after` until the answer is finished; closing it counts as leaving.

        Raises NotFound once it is deleted, and what `caller` would be refused by now.
        """
        live = self._live.get(query_id)
        if live is not None:
            live.listeners += 1
        try:
            check = AccessCheck(query_id, caller)
            async with aclosing(self._readers.follow(query_id, caller.tenant_id, after)) as told:
                async for facts in told:
                    await check.look(at_once=any(fact.kind == "query.stopped" for fact in facts))
                    yield facts
        finally:
            if live is not None:
                live.listeners -= 1
                self._stop_unheard_after(GRACE_SECONDS, live)

    def _stop_unheard_after(self, seconds: float, live: Live) -> None:
        def stop() -> None:
            if not live.listeners:
                live.task.cancel()

        if not live.finish and not live.listeners:
            asyncio.get_running_loop().call_later(seconds, stop)

    async def _answer(self, live: Live, opened: Opening, caller: Principal) -> None:
        query_id, tenant_id = live.query_id, opened.tenant_id
        watching = asyncio.create_task(self._shut_out(live, caller))
        try:
            await self._runs.run(answer_query, DEPLOYMENT, tenant_id=tenant_id, opened=opened, query_id=query_id)
        except asyncio.CancelledError:
            await close_stopped(query_id, tenant_id, live.stopped)
        except Exception as error:  # the flow has recorded it, and the last fact says so
            log.warning("answer failed", code=getattr(error, "code", type(error).__name__))
        finally:
            watching.cancel()
            del self._live[query_id]
            await _announced(query_id, tenant_id)

    async def _shut_out(self, live: Live, caller: Principal) -> None:
        """End the answer, and what is spent on it, when its asker may not ask any more or has deleted it."""
        await asyncio.sleep(access.LOOK_AGAIN_SECONDS)
        await AccessCheck(live.query_id, caller).refusal()
        live.stopped = SHUT_OUT
        live.task.cancel()


async def _announced(query_id: UUID, tenant_id: UUID) -> None:
    try:
        await announce(query_id, tenant_id)
    except KowaiError as error:  # its readers look for themselves
        log.warning("readers not woken", code=error.code)


@asynccontextmanager
async def place_for(caller: Principal) -> AsyncGenerator[AsyncExitStack]:
    """Take one of the caller's places for streams; whoever streams takes the stack over. Raises StreamsExhausted."""
    async with AsyncExitStack() as place:
        await place.enter_async_context(streaming(caller.id, caller.tenant_id, caller.streams))
        yield place


class EventStream(StreamingResponse):
    """Send server-sent events (WHATWG HTML, 9.2); a client that goes away ends what feeds it at once.

    Whoever may not be told any more is told so by a last event.
    """

    media_type = "text/event-stream"
    refusal = "event: error\ndata: {}\n\n"

    def __init__(self, events: AsyncGenerator[str], place: AsyncExitStack, **headers: str) -> None:
        self._events, self._place = self._told(events), place
        super().__init__(self._events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", **headers})

    async def _told(self, events: AsyncGenerator[str]) -> AsyncGenerator[str]:
        async with aclosing(events):
            try:
                async for event in events:
                    yield event
            except (Unauthenticated, Forbidden, NotFound) as error:
                yield self.refusal.format(json.dumps(body(error.code, error.sentence, error.http_status)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._place, aclosing(self._events):
            with STREAMS.track_inprogress():
                await super().__call__(scope, receive, send)
