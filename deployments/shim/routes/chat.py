"""Chat: an answer told word by word, which any client may pick up again where it lost it."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import Field

from deployments.shim.answers import Answer, read_answer
from deployments.shim.identity import Principal, may
from deployments.shim.repeats import Repeatable
from deployments.shim.routes.queries import CLOSED, Asked, answer_once, inquiry
from deployments.shim.runs import Opening
from deployments.shim.streams import DEPLOYMENT, EventStream, Streams, place_for
from kowai.errors import InvalidInput
from kowai.telling import struck_out
from tasks.event_log import FINAL, Fact, find_question, read_facts
from tasks.idempotency import Claim
from tasks.receive import receive_query
from tasks.tell import told_text

router = APIRouter(prefix="/api/v1", tags=["chat"])

Asker = Annotated[Principal, Depends(may("questions.ask"))]
Reader = Annotated[Principal, Depends(may("questions.read"))]

NAMES = {"query.queued": "queued", "answer.started": "started", "answer.text": "text"}
RETRY = "retry: 1000\n\n"
EVENT_ID = re.compile("[0-9]{1,19}")
STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}, "application/json": {}},
        "description": "Events `queued`, `started` (what was told before is void), `text`, and at last `answer`.",
    },
    204: {"description": "Everything has been told."},
}

LastEventId = Annotated[str | None, Header(description="The id of the last event that arrived; the next ones follow.")]


class Chat(Asked):
    """Ask one question and hear its answer while it is written."""

    stream: bool = Field(True, description="Server-sent events; false: one JSON answer when it is finished.")
    on_disconnect: Literal["stop", "finish"] = Field(
        "stop", description="What becomes of the answer, and of what it costs, once nobody listens to it any more."
    )


class Told(Answer):
    """Hold the checked answer, which alone counts, and the sentences that were told and did not pass the check."""

    struck_out: list[str]


@router.post("/chat", response_model=Answer, responses=STREAM)
async def chat(
    asked: Chat,
    caller: Asker,
    request: Request,
    response: Response,
    repeats: Repeatable,
    last_event_id: LastEventId = None,
) -> Any:
    """Answer while it is written; the same request with `Last-Event-ID` goes on where the connection broke."""
    after = sequence_of(last_event_id)
    known = await find_question(after, caller.tenant_id, caller.id) if after else None
    if known is not None:
        return await _resumed(known, after, caller, request)
    if not asked.stream:
        return await answer_once(asked, caller, repeats, request=request, response=response)
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC))

    async def receive(claimed: Claim | None) -> UUID:
        along = opened._replace(claimed=claimed).along("query_id")
        return await receive_query(inquiry(asked, caller, streamed=True), caller.tenant_id, durable=False, along=along)

    async with place_for(caller) as place:
        query_id, earlier = await repeats.once(["Stream", asked.model_dump(mode="json")], caller, receive)
        streams: Streams = request.app.state.streams
        if not earlier:
            streams.begin(query_id, opened, caller, finish=asked.on_disconnect == "finish")
        told = _events(streams, query_id, caller, 0)
        return EventStream(told, place.pop_all(), **{"X-Query-Id": str(query_id)})


@router.get("/chat/{query_id}/events", response_model=None, responses=STREAM)
async def follow(query_id: UUID, caller: Reader, request: Request, last_event_id: LastEventId = None) -> Response:
    """Follow an answer from its beginning, or from `Last-Event-ID`; while it is written and long after."""
    return await _resumed(query_id, sequence_of(last_event_id), caller, request)


async def _resumed(query_id: UUID, after: int, caller: Principal, request: Request) -> Response:
    answer = await read_answer(query_id, caller.tenant_id)
    request.state.anothers = answer.asked_by != caller.id
    if answer.status in CLOSED and not await read_facts(query_id, caller.tenant_id, after):
        return Response(status_code=204)  # which ends an EventSource's attempts
    async with place_for(caller) as place:
        told = _events(request.app.state.streams, query_id, caller, after)
        return EventStream(told, place.pop_all(), **{"X-Query-Id": str(query_id)})


async def _events(streams: Streams, query_id: UUID, caller: Principal, after: int) -> AsyncGenerator[str]:
    yield RETRY
    async with aclosing(streams.follow(query_id, caller, after)) as told:
        async for facts in told:
            shown = [fact for fact in facts if fact.kind in NAMES or fact.kind in FINAL]  # what guards saw is not
            frames = [await _frame(fact, query_id, caller.tenant_id) for fact in shown]
            yield "".join(frames) or ": waiting\n\n"


async def _frame(fact: Fact, query_id: UUID, tenant_id: UUID) -> str:
    if fact.kind not in FINAL:
        data = json.dumps({"query_id": str(query_id)} if fact.kind == "query.queued" else dict(fact.payload))
        return f"id: {fact.sequence}\nevent: {NAMES.get(fact.kind, fact.kind)}\ndata: {data}\n\n"
    answer = await read_answer(query_id, tenant_id)
    told = told_text(await read_facts(query_id, tenant_id))
    checked = Told(**dict(answer), struck_out=struck_out(told, answer.answer or ""))
    return f"id: {fact.sequence}\nevent: answer\ndata: {checked.model_dump_json()}\n\n"


def sequence_of(last_event_id: str | None) -> int:
    """Return where a reader goes on; 0 is the beginning. Raises InvalidInput."""
    if last_event_id is None or not last_event_id.strip():
        return 0
    if not EVENT_ID.fullmatch(last_event_id.strip()):
        raise InvalidInput("Last-Event-ID must be the id of an event of this stream.")
    return min(int(last_event_id), 2**63 - 1)
