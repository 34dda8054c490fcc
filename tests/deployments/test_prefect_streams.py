"""Prefect's streams of events and logs reach the UI of an operator, through the shim, while the session lasts."""

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy import text
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from deployments.local.certificates import trusting
from deployments.shim import sockets
from deployments.shim.console import COOKIE
from deployments.shim.tls_connections import TlsConnection, TlsSocket
from kowai.permissions import ROLES
from tests.deployments.conftest import People
from tests.deployments.serving import serving
from tests.deployments.test_local_tls import make_pair

PASSWORD = "admin:a-password-of-prefect"
PROTOCOL = [Subprotocol("prefect")]


class Told:
    """Speak as Prefect does: take a proof and a filter, then tell of two events and listen."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.paths: list[str] = []
        self.ended = asyncio.Event()
        self.closes_with: int | None = None

    async def serve(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.paths.append(connection.request.path)
        try:
            self.heard.append(json.loads(await connection.recv()))
            await connection.send('{"type": "auth_success"}')
            self.heard.append(json.loads(await connection.recv()))
            for number in (1, 2):
                await connection.send(json.dumps({"type": "event", "event": number}))
            if self.closes_with:
                return await connection.close(self.closes_with, "enough")
            await connection.wait_closed()
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()


class Place(NamedTuple):
    url: str
    people: People
    prefect: Told
    trusted: ssl.SSLContext | None = None

    def open(self, path: str = "/prefect/api/events/out", **headers: str) -> connect:
        how: Any = {"ssl": self.trusted} if self.trusted else {}
        asked: Any = {"subprotocols": PROTOCOL, "additional_headers": headers, "proxy": None, "open_timeout": 60}
        return connect(f"ws{self.url}{path}", **asked, **how)


@asynccontextmanager
async def listening(app: Any, **how: Any) -> AsyncGenerator[str]:
    """Serve with the sockets that `kowai up` serves; yield the URL without its http."""
    async with serving(app, **{"ws": "websockets-sansio"} | how) as url:
        yield url.removeprefix("http")


@pytest.fixture
async def place(people: People, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    told = Told()
    async with serve(told.serve, "127.0.0.1", 0, subprotocols=PROTOCOL) as prefect:
        port = next(iter(prefect.sockets)).getsockname()[1]
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", PASSWORD)
        async with listening(people.app) as url:
            yield Place(url, people, told)


@pytest.fixture
async def key(people: People, tenant: UUID) -> str:
    return await people.key(tenant, "platform_admin")


async def cookie_of(place: Place, key: str) -> str:
    async with place.people.calling(key) as browser:
        return f"{COOKIE}={(await browser.post('/prefect/login')).cookies[COOKIE]}"


async def told(connection: ClientConnection) -> list[Any]:
    """Prove nothing, ask for everything, and return what is told."""
    await connection.send('{"type": "auth", "token": "null"}')
    first = json.loads(await connection.recv())
    await connection.send('{"type": "filter", "filter": {}}')
    return [first, *[json.loads(await connection.recv()) for _ in range(2)]]


@pytest.mark.parametrize("stream", ["events", "logs"])
async def test_an_operator_is_told_what_prefect_tells_and_prefect_is_shown_our_password(
    place: Place, key: str, stream: str
) -> None:
    async with place.open(f"/prefect/api/{stream}/out", Authorization=f"Bearer {key}") as connection:
        assert connection.subprotocol == "prefect"
        assert [message["type"] for message in await told(connection)] == ["auth_success", "event", "event"]
    await asyncio.wait_for(place.prefect.ended.wait(), 120)  # it is not kept open when the browser has gone
    assert place.prefect.heard == [{"type": "auth", "token": PASSWORD}, {"type": "filter", "filter": {}}]
    assert place.prefect.paths == [f"/api/{stream}/out"]


async def test_a_browser_is_told_the_same_over_tls(place: Place, key: str, tmp_path: Path) -> None:
    certificate, private = make_pair(tmp_path, "ours")
    trusted = trusting(certificate)
    assert isinstance(trusted, ssl.SSLContext)
    files = {"ssl_certfile": certificate, "ssl_keyfile": private, "http": TlsConnection, "ws": TlsSocket}
    cookie = await cookie_of(place, key)
    async with listening(place.people.app, **files) as url:
        secured = place._replace(url=url, trusted=trusted)
        async with secured.open(Cookie=cookie, Origin=f"http{url}") as connection:
            assert [message["type"] for message in await told(connection)] == ["auth_success", "event", "event"]
        await asyncio.wait_for(place.prefect.ended.wait(), 120)


async def test_a_browser_is_let_in_by_its_cookie_from_our_own_pages_only(place: Place, key: str) -> None:
    cookie = await cookie_of(place, key)
    async with place.open(Cookie=cookie, Origin=f"http{place.url}") as connection:
        assert len(await told(connection)) == 3
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        with pytest.raises(InvalidStatus):
            await place.open(Cookie=cookie, **origin).__aenter__()


@pytest.mark.parametrize("role", [None, *ROLES[:-1]])
async def test_nobody_else_is_told_anything(place: Place, tenant: UUID, role: str | None) -> None:
    headers = {"Authorization": f"Bearer {await place.people.key(tenant, role)}"} if role else {}
    with pytest.raises(InvalidStatus) as refused:
        await place.open(**headers).__aenter__()
    assert refused.value.response.status_code == 403
    assert not place.prefect.paths


async def test_events_cannot_be_sent_and_no_other_socket_is_reached(place: Place, key: str) -> None:
    for path in ("events/in", "events/out/../in", "x"):
        with pytest.raises(InvalidStatus):
            await place.open(f"/prefect/api/{path}", Authorization=f"Bearer {key}").__aenter__()
    assert not place.prefect.paths


async def ends_with(connection: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(connection.recv(), 120)
    return connection.close_code


@pytest.mark.parametrize("by", ["key", "cookie"])
async def test_a_stream_ends_with_its_session(
    place: Place, tenant: UUID, key: str, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    monkeypatch.setattr(sockets, "LOOK_AGAIN_SECONDS", 0.1)
    cookie = {"Cookie": await cookie_of(place, key), "Origin": f"http{place.url}"}
    headers = cookie if by == "cookie" else {"Authorization": f"Bearer {key}"}
    async with place.open(**headers) as connection:
        await told(connection)
        async with place.people.database.transaction(tenant) as store:
            await store.execute(text("update api_key set revoked_at = now()"))
        assert await ends_with(connection) == sockets.POLICY_VIOLATION
    await asyncio.wait_for(place.prefect.ended.wait(), 120)


def nowhere(path: str) -> sockets.Upstream:
    return sockets.Upstream(f"ws://127.0.0.1:9{path}", PASSWORD)


async def test_prefects_own_end_is_handed_on_and_its_absence_said(
    place: Place, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.prefect.closes_with = sockets.PROTOCOL_ERROR
    async with place.open(Authorization=f"Bearer {key}") as connection:
        await told(connection)
        assert await ends_with(connection) == sockets.PROTOCOL_ERROR
    monkeypatch.setattr(place.people.app.state.prefect, "stream", nowhere)
    async with place.open(Authorization=f"Bearer {key}") as connection:
        await connection.send("{}")
        assert await ends_with(connection) == sockets.TRY_AGAIN_LATER
