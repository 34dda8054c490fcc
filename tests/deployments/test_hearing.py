"""`kowai ask` tells an answer while it is written, picks up lost connections, and Ctrl-C stops the spending."""

import asyncio
import os
import pty
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from deployments.commands.api import Api, Refused
from deployments.commands.hearing import hear
from kowai.errors import Unavailable
from tests.deployments.conftest import Shim
from tests.model_server import Act, ModelServer, silence

Use = Callable[..., None]

QUESTION = "How long is green tea steeped?"
FOUND = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{}\n\n[[ ## completed ## ]]"
REPLY = FOUND.format("Green tea is steeped for three minutes [1].")
LONG = FOUND.format("Green tea is steeped for three minutes. " * 40)


async def started(shim: Shim, *options: str, **streams: Any) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "deployments.cli", "ask", QUESTION, "--url", shim.url, "--key", shim.key)
    piped = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.PIPE} | streams
    return await asyncio.create_subprocess_exec(*command, *options, **piped)


async def test_the_words_come_before_the_answer_is_finished(shim: Shim, use: Use, model_server: ModelServer) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY)
    model_server.waits_at = len(REPLY.split(" ")) - 1
    asking = await started(shim, "--stream")
    assert asking.stdout
    first = await asking.stdout.read(20)
    assert first
    model_server.waits_at = None
    out, err = await asking.communicate()
    assert (asking.returncode, err) == (0, b"")
    told, _, rest = (first + out).decode().partition("\n\n")
    assert told == "Green tea is steeped for three minutes."
    assert rest.startswith("[1] ")
    assert "tea.md" in rest
    assert not any(line.startswith(told) for line in rest.splitlines())  # said once


async def test_words_that_checking_changed_are_followed_by_the_checked_ones(
    shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=FOUND.format("The moon is cheese. Green tea is steeped for three minutes [1]."))
    out, _ = await (await started(shim, "--stream")).communicate()
    told, checked, *_ = out.decode().split("\n\n")
    assert told == "The moon is cheese. Green tea is steeped for three minutes."
    assert checked == "The moon is cheese. [unsupported] Green tea is steeped for three minutes. [1]"


async def test_ctrl_c_stops_the_spending(shim: Shim, use: Use, model_server: ModelServer) -> None:
    use(model_server.target(price="100", max_output_tokens=400), request_limit="5")
    model_server.default = Act(content=LONG, drip=0.1)
    asking = await started(shim, "--stream")
    assert asking.stdout
    await asking.stdout.read(1)
    asking.send_signal(signal.SIGINT)
    _, err = await asking.communicate()
    assert (asking.returncode, err) == (130, b"Stopped: nothing more is spent on this answer.\n")
    assert await silence(model_server) < 100


async def test_on_a_terminal_words_make_room_for_the_checked_answer(
    shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY, drip=0.1)
    ours, its = pty.openpty()
    asking = await started(shim, stdout=its, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"})
    os.close(its)
    shown = await asyncio.to_thread(read_all, ours)
    assert await asking.wait() == 0
    assert b"\x1b[2K" in shown  # a line was wiped
    assert "steeped for three minutes. [1]" in shown.decode()


def read_all(terminal: int) -> bytes:
    read = b""
    try:
        while piece := os.read(terminal, 4096):
            read += piece
    except OSError:  # how Linux says that nobody writes any more
        pass
    os.close(terminal)
    return read


class Frail:
    """Tell an answer and break off where it is told to; or refuse to tell anything."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.app.post("/api/v1/chat")(self.chat)
        self.app.post("/api/v1/query")(lambda: {"answer": "plain"})
        self.app.get("/api/v1/query/{query_id}")(lambda query_id: {"answer": "kept"})
        self.app.get("/api/v1/chat/{query_id}/events")(self.follow)
        self.refusal: Response | None = None
        self.told = [("text", '{"text": "Three "}'), ("text", '{"text": "minutes."}'), ("answer", '{"answer": "done"}')]
        self.breaks, self.gone = [1, 1], False
        self.came_back: list[str] = []

    async def chat(self) -> Response:
        return self.refusal or self.telling(0)

    async def follow(self, request: Request) -> Response:
        self.came_back.append(request.headers["Last-Event-ID"])
        return Response(status_code=204) if self.gone else self.telling(int(self.came_back[-1]))

    def telling(self, after: int) -> Response:
        headers = {"X-Query-Id": "q"}
        return StreamingResponse(self.frames(after), media_type="text/event-stream", headers=headers)

    async def frames(self, after: int) -> AsyncIterator[str]:
        most = self.breaks.pop(0) if self.breaks else 99
        yield "retry: 1000\n\n"
        for number, (event, data) in enumerate(self.told[after : after + most], after + 1):
            yield f"id: {number}\nevent: {event}\ndata: {data}\n\n"
        if after + most < len(self.told):
            raise ConnectionError


@pytest.fixture
def frail() -> Frail:
    return Frail()


@pytest.fixture
def api(frail: Frail) -> Iterator[Api]:
    server = uvicorn.Server(uvicorn.Config(frail.app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    with Api(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", "key") as api:
        yield api
    server.should_exit = True
    thread.join()


def test_a_lost_connection_is_picked_up_where_it_broke(api: Api, frail: Frail) -> None:
    shown: list[str] = []
    assert hear(api, {"query": QUESTION}, shown.append) == {"answer": "done"}
    assert frail.came_back == ["1", "2"]
    assert shown == ["Three ", "Three minutes.", "Three minutes."]


def test_words_that_are_void_are_taken_back(api: Api, frail: Frail) -> None:
    frail.breaks = []
    frail.told.insert(1, ("started", "{}"))
    shown: list[str] = []
    hear(api, {"query": QUESTION}, shown.append)
    assert shown == ["Three ", "", "minutes.", "minutes."]


def test_an_answer_that_cannot_be_followed_to_its_end_is_read(api: Api, frail: Frail) -> None:
    frail.gone = True
    assert hear(api, {"query": QUESTION}, lambda words: None) == {"answer": "kept"}


@pytest.mark.parametrize("status", [404, 405, 429, 501])
def test_where_nothing_is_streamed_the_question_is_put_plainly(api: Api, frail: Frail, status: int) -> None:
    frail.refusal = JSONResponse({"error": {"code": "no", "message": "No streams."}}, status)
    assert hear(api, {"query": QUESTION}, lambda words: None) == {"answer": "plain"}


def test_what_is_no_stream_is_not_taken_for_one(api: Api, frail: Frail) -> None:
    frail.refusal = JSONResponse({"hello": "there"})
    assert hear(api, {"query": QUESTION}, lambda words: None) == {"answer": "plain"}


def test_a_refusal_stays_one(api: Api, frail: Frail) -> None:
    frail.refusal = JSONResponse({"error": {"code": "unauthenticated", "message": "This API key is wrong."}}, 401)
    with pytest.raises(Refused, match="key is wrong"):
        hear(api, {"query": QUESTION}, lambda words: None)


def test_a_server_that_is_away_is_said_to_be() -> None:
    with Api("http://127.0.0.1:9", "key") as api, pytest.raises(Unavailable, match="not running"):
        hear(api, {"query": QUESTION}, lambda words: None)
