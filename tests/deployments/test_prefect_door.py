"""Platform operators reach Prefect through the shim; nobody else does, and its password stays here."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from sqlalchemy import text

from deployments.local import stack
from deployments.local.layout import Layout
from deployments.shim.console import COOKIE
from deployments.shim.forwarding import forward
from kowai.errors import NotFound
from kowai.permissions import ROLES
from kowai.settings import Settings
from tests.deployments.conftest import People
from tests.deployments.serving import serving

PASSWORD = "a-password-of-prefect"
PAGE = {"Accept": "text/html"}


class Upstream:
    """Stand in for Prefect: remember what arrives."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.bodies: list[bytes] = []
        self.app = FastAPI()
        self.app.api_route("/api/{path:path}", methods=["GET", "POST", "PATCH", "DELETE"])(self.reply)

    async def reply(self, request: Request) -> Response:
        self.seen.append(request)
        self.bodies.append(await request.body())
        status = 401 if request.headers["authorization"] != f"Basic {_basic()}" else 200
        return Response('{"a": 1}', status, {"Set-Cookie": "theirs=1"}, "application/json")


def _basic() -> str:
    return base64.b64encode(f"admin:{PASSWORD}".encode()).decode()


@pytest.fixture
async def prefect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Upstream]:
    upstream = Upstream()
    async with serving(upstream.app) as url:
        monkeypatch.setenv("PREFECT_API_URL", f"{url}/api")
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{PASSWORD}")
        yield upstream


@pytest.fixture
async def lively(prefect: Upstream, people: People) -> AsyncIterator[People]:
    async with people.app.router.lifespan_context(people.app):
        yield people


async def test_a_call_is_handed_on_as_us_and_its_reply_back(lively: People, tenant: UUID, prefect: Upstream) -> None:
    async with lively.admin(tenant, "platform_admin") as boss:
        reply = await boss.post("/prefect/api/flow_runs/a%2Fb/set_state?x=1&y=%20", json={"b": 2})
    assert (reply.status_code, reply.json()) == (200, {"a": 1})
    (seen,) = prefect.seen
    assert seen.scope["raw_path"] == b"/api/flow_runs/a%2Fb/set_state"
    assert (seen.scope["query_string"], prefect.bodies) == (b"x=1&y=%20", [b'{"b":2}'])
    assert "set-cookie" not in reply.headers
    assert PASSWORD not in str(reply.headers)
    assert _basic() not in str(reply.headers)


@pytest.mark.parametrize("role", [None, *ROLES[:-1]])
async def test_nobody_else_gets_anything(lively: People, tenant: UUID, prefect: Upstream, role: str | None) -> None:
    token = await lively.key(tenant, role) if role else None
    async with lively.calling(token) as client:
        for method, path in (("GET", "/"), ("GET", "/api/health"), ("POST", "/api/flows/filter"), ("DELETE", "/api/x")):
            response = await client.request(method, f"/prefect{path}")
            assert response.status_code == (403 if role else 401)
        assert (await client.post("/prefect/login")).status_code == (403 if role else 401)
    assert not prefect.seen


async def test_a_browser_is_sent_to_the_login_and_gets_a_cookie_no_script_reads(
    lively: People, tenant: UUID, prefect: Upstream
) -> None:
    key = await lively.key(tenant, "platform_admin")
    async with lively.calling() as browser:
        sent = await browser.get("/prefect/flows", headers=PAGE)
        assert (sent.status_code, sent.headers["location"]) == (303, "/prefect/login")
        assert "Platform" in (await browser.get("/prefect/login")).text.title()
        reply = await browser.post("/prefect/login", headers={"Authorization": f"Bearer {key}"})
        cookie = reply.headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", "Path=/prefect", "Max-Age=3600"))
        assert key not in cookie
        assert (await browser.get("/prefect/flows", headers=PAGE)).status_code == 200
        assert (await browser.post("/prefect/api/flows/filter")).status_code == 200
        other = {"Sec-Fetch-Site": "cross-site"}
        assert (await browser.post("/prefect/api/flows/filter", headers=other)).status_code == 403
        assert (await browser.get("/api/v1/auth/me")).status_code == 401  # it opens Prefect only
        async with lively.database.transaction(tenant) as connection:
            await connection.execute(text("update api_key set revoked_at = now()"))
        assert (await browser.get("/prefect/api/health")).status_code == 401
    assert len(prefect.seen) == 1


async def test_a_forged_cookie_is_nobodys(lively: People, tenant: UUID) -> None:
    async with lively.calling() as browser:
        browser.cookies.set(COOKIE, "e30.e30.e30", path="/prefect")
        assert (await browser.get("/prefect/api/health")).status_code == 401


async def test_changes_are_written_down_and_posted_reads_are_not(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant, "platform_admin") as boss:
        await boss.post("/prefect/api/flow_runs/filter")
        await boss.post("/prefect/api/flow_runs/1/set_state")
        written: list[dict[str, Any]] = (await boss.get("/api/v1/audit")).json()
    assert [entry["target"] for entry in written] == ["/prefect/api/flow_runs/1/set_state"]


async def test_the_ui_is_served_below_its_path_and_nothing_beside_it(lively: People, tenant: UUID) -> None:
    async with lively.admin(tenant, "platform_admin") as boss:
        page = await boss.get("/prefect/runs/flow-run/1")
        assert "/prefect/assets/" in page.text
        assert "PLACEHOLDER" not in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        settings = (await boss.get("/prefect/ui-settings")).json()
        assert (settings["api_url"], settings["auth"]) == ("http://kowai/prefect/api", None)
        for escape in ("/prefect/..%2f__init__.py", "/prefect/api/%2e%2e/x", "/prefect/api/a/../../x"):
            reply = await boss.get(escape)
            assert reply.status_code == 404 or "<title>Prefect Server</title>" in reply.text


@pytest.mark.parametrize("path", ["/flows#x", "/flows\x00"])
async def test_what_is_no_path_is_not_found(path: str) -> None:
    request = Request({"type": "http", "method": "GET", "headers": [], "query_string": b""})
    async with httpx.AsyncClient(base_url="http://127.0.0.1:9/api") as client:
        with pytest.raises(NotFound):
            await forward(client, request, path)


async def test_strangers_get_the_icons_that_browsers_fetch_without_cookies_and_no_page(people: People) -> None:
    async with people.calling() as stranger:
        assert "icons" in (await stranger.get("/prefect/ico/site.webmanifest")).json()
        for path in ("nothing.png", "..%2findex.html", "%2e%2e%2findex.html"):
            assert (await stranger.get(f"/prefect/ico/{path}")).status_code in (401, 404)


def test_our_prefect_server_streams_logs_unless_the_user_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "prefect-auth").write_text("admin:x")
    server, settings = stack.prefect_server(Layout(tmp_path), Settings(state=tmp_path)), "PREFECT_SERVER_LOGS_STREAM"
    assert server.environment()[f"{settings}_OUT_ENABLED"] == "true"
    assert server.environment()[f"{settings}_PUBLISHING_ENABLED"] == "true"
    monkeypatch.setenv(f"{settings}_PUBLISHING_ENABLED", "false")
    assert server.environment()[f"{settings}_PUBLISHING_ENABLED"] == "false"


async def test_without_prefect_it_says_so(people: People, tenant: UUID) -> None:
    async with (
        people.app.router.lifespan_context(people.app),
        people.admin(tenant, "platform_admin") as boss,
    ):
        assert (await boss.get("/prefect/api/health")).status_code == 503


def test_our_prefect_server_listens_on_loopback_only_wherever_the_shim_listens(tmp_path: Path) -> None:
    place = Layout(tmp_path)
    place.secrets.mkdir(parents=True)
    (place.secrets / "prefect-auth").write_text("admin:x")
    child = stack.prefect_server(place, Settings(state=tmp_path, host="0.0.0.0"))
    arguments = list(child.command)
    assert arguments[arguments.index("--host") + 1] == "127.0.0.1"
    assert child.environment()["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert child.environment()["PREFECT_SERVER_API_AUTH_STRING"] == "admin:x"
