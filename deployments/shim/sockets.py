"""A reverse proxy for the WebSockets by which Prefect tells of events and logs as they happen."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from kowai.errors import KowaiError, Unavailable

PROTOCOL = Subprotocol("prefect")
OPEN_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 3.0
PROTOCOL_ERROR, POLICY_VIOLATION, TRY_AGAIN_LATER = 1002, 1008, 1013  # RFC 6455, section 7.4.1, and its registry
FORWARDABLE = range(3000, 5000)


class Upstream(NamedTuple):
    """Say where a stream of Prefect's is, and by which token it is opened."""

    url: str
    token: str


class Ending(NamedTuple):
    code: int = 1000
    reason: str = ""


async def relay(browser: WebSocket, upstream: Upstream, check: Callable[[], Awaitable[object]]) -> None:
    """Hand messages on both ways until either side ends, or `check`, asked every 3 s, no longer lets the caller in.

    Prefect is shown our token in place of the proof that its clients begin with.
    """
    if PROTOCOL not in browser.scope["subprotocols"]:
        return await browser.close(PROTOCOL_ERROR)
    await browser.accept(PROTOCOL)
    try:
        await browser.receive()  # what a client of Prefect would prove itself by
        async with connect(upstream.url, subprotocols=[PROTOCOL], proxy=None, open_timeout=OPEN_SECONDS) as prefect:
            await prefect.send(json.dumps({"type": "auth", "token": upstream.token}))
            ending = await _first(_down(prefect, browser), _up(browser, prefect), _watched(check))
    except (OSError, TimeoutError, InvalidHandshake):
        ending = Ending(TRY_AGAIN_LATER, "Prefect cannot be reached.")
    except (ConnectionClosed, WebSocketDisconnect):
        ending = None
    if ending is not None:
        await browser.close(ending.code, ending.reason)


async def _first(*ways: Awaitable[Ending | None]) -> Ending | None:
    """Return what ended first, when the others have ended too."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _down(prefect: ClientConnection, browser: WebSocket) -> Ending:
    with suppress(ConnectionClosed):  # raised unless it ends normally
        async for message in prefect:
            await (browser.send_text(message) if isinstance(message, str) else browser.send_bytes(message))
    told = prefect.close_code or 1000
    known = told in FORWARDABLE or told in (1000, PROTOCOL_ERROR, POLICY_VIOLATION)
    return Ending(told if known else TRY_AGAIN_LATER, prefect.close_reason or "")


async def _up(browser: WebSocket, prefect: ClientConnection) -> None:
    while (message := await browser.receive())["type"] == "websocket.receive":
        await prefect.send(message["text"] if message.get("text") is not None else message["bytes"])


async def _watched(check: Callable[[], Awaitable[object]]) -> Ending:
    while True:
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
        try:
            await check()
        except Unavailable:
            continue
        except KowaiError:
            return Ending(POLICY_VIOLATION, "This session has ended.")
