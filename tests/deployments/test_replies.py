"""What every reply carries for browsers, and which replies are packed."""

import gzip
import json
from uuid import UUID

import httpx
import pytest
from pydantic import ValidationError
from starlette.routing import Match

from deployments.shim.app import create_app
from deployments.shim.meters import REGISTRY
from deployments.shim.packing import pack, takes_gzip
from kowai.settings import Settings, settings
from tests.deployments.conftest import People, Shim

GZIP = {"Accept-Encoding": "gzip"}
STRICT = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
PAGES = [
    "/",
    "/favicon.ico",
    "/docs",
    "/pages/chat.js",
    "/pages/chat.css",
    "/docs/swagger-ui-bundle.js",
    "/openapi.json",
]


@pytest.mark.parametrize("path", ["/live", "/docs", "/", "/no-such-path", "/api/v1/documents", "/openapi.json"])
async def test_every_reply_protects_the_browser_it_reaches(people: People, path: str) -> None:
    async with people.calling() as client:
        reply = await client.get(path)
    assert STRICT.items() <= {name: reply.headers.get(name) for name in STRICT}.items()
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "Strict-Transport-Security" not in reply.headers


async def test_a_reply_to_an_error_that_nobody_expected_protects_too(people: People) -> None:
    async def broken() -> None:
        raise RuntimeError

    people.app.add_api_route("/broken", broken)
    async with people.calling() as client:
        reply = await client.get("/broken")
    assert reply.status_code == 500
    assert reply.headers["X-Frame-Options"] == "DENY"


async def test_browsers_are_told_to_stay_with_tls_once_they_came_by_it(people: People) -> None:
    transport = httpx.ASGITransport(people.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://kowai") as client:
        assert (await client.get("/live")).headers["Strict-Transport-Security"] == "max-age=31536000"


async def test_no_other_site_may_call_unless_it_is_named(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "POST"}
    async with people.calling() as client:
        refused = await client.options("/api/v1/query", headers=asked)
    assert "Access-Control-Allow-Origin" not in refused.headers
    monkeypatch.setenv("KOWAI_CORS_ORIGINS", "https://app.example.org, http://localhost:3000")
    settings.cache_clear()
    async with people._replace(app=create_app()).calling() as client:
        allowed = await client.options("/api/v1/query", headers=asked)
        stranger = await client.get("/live", headers={"Origin": "https://evil.example"})
        friend = await client.get("/live", headers={"Origin": "http://localhost:3000"})
    assert allowed.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
    assert "Access-Control-Allow-Credentials" not in allowed.headers
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert "X-Query-Id" in friend.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("wrong", ["*", "app.example.org", "https://*.example.org", "https://a.example/path", "null"])
def test_what_is_no_origin_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(ValidationError, match="no origin"):
        Settings(cors_origins=wrong)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("path", PAGES)
async def test_pages_come_packed_and_are_not_sent_twice(people: People, path: str) -> None:
    async with people.calling() as client:
        packed = await client.get(path, headers=GZIP)
        plain = await client.get(path, headers={"Accept-Encoding": "identity"})
        again = await client.get(path, headers=GZIP | {"If-None-Match": packed.headers["ETag"]})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["Content-Length"]) < len(plain.content) or len(plain.content) < 1000
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] != plain.headers["ETag"]
    assert (again.status_code, again.content) == (304, b"")


async def test_browsers_find_the_icon_and_keep_it(people: People) -> None:
    async with people.calling() as client:
        icon, page = await client.get("/favicon.ico"), await client.get("/")
    assert (icon.status_code, icon.headers["Content-Type"], icon.content[:4]) == (200, "image/x-icon", b"\0\0\1\0")
    assert icon.headers["Cache-Control"] == "public, max-age=86400"
    assert 'href="/favicon.ico"' in page.text
    assert "img-src 'self'" in page.headers["Content-Security-Policy"]


async def test_the_reference_names_no_other_computer(people: People) -> None:
    async with people.calling() as client:
        page = (await client.get("/docs")).text
    assert "http" not in page.replace("<!doctype html>", "")


def measured(side: str) -> float:
    return REGISTRY.get_sample_value("kowai_gzip_bytes_total", {"side": side}) or 0.0


async def test_a_large_reply_is_packed_and_the_ratio_is_measured(people: People, tenant: UUID) -> None:
    before = measured("before"), measured("after")
    async with people.admin(tenant) as client:
        reply = await client.get("/api/v1/guards", headers=GZIP)
        small = await client.get("/api/v1/documents/ledger", headers=GZIP)
    length = int(reply.headers["Content-Length"])
    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Vary"] == "Accept-Encoding"
    assert length < len(reply.content)
    assert "Content-Encoding" not in small.headers
    assert measured("before") - before[0] == len(reply.content)
    assert measured("after") - before[1] == length


async def test_a_client_that_cannot_unpack_is_sent_plain_text(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as client:
        reply = await client.get("/api/v1/guards", headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "Content-Encoding" not in reply.headers


async def test_a_reply_that_shows_a_secret_is_never_packed(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as client:
        made = await client.post("/api/v1/keys", headers=GZIP, json={"name": "k" * 80, "role": "viewer"})
        listed = [await client.get("/api/v1/keys", headers=GZIP) for _ in range(2)]
    assert made.is_success
    assert all("Content-Encoding" not in reply.headers for reply in (made, *listed))


async def test_an_event_stream_is_never_packed(shim: Shim) -> None:
    async with shim.client() as client:
        asked = {"query": "How long is green tea steeped?"}
        async with client.stream("POST", "/api/v1/chat", json=asked, headers=GZIP) as reply:
            told = b"".join([piece async for piece in reply.aiter_raw()])
    assert "Content-Encoding" not in reply.headers
    assert b"event: answer" in told


def test_packing_hides_the_exact_length_and_loses_nothing() -> None:
    body = json.dumps([{"answer": "x" * 200}] * 50).encode()
    packed = [pack(body) for _ in range(40)]
    assert {gzip.decompress(one) for one in packed} == {body}
    assert len({len(one) for one in packed}) > 5


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("deflate, GZIP ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=1.0", True),
        ("br", False),
        ("", False),
        ("notgzip", False),
    ],
)
def test_who_takes_gzip_says_so(header: str, takes: bool) -> None:
    assert takes_gzip([(b"accept-encoding", header.encode())]) is takes


async def test_the_routes_that_are_asked_most_are_looked_for_first(people: People) -> None:
    first = people.app.router.routes[0]
    match, _ = first.matches({"type": "http", "method": "POST", "path": "/api/v1/query", "headers": []})
    assert match == Match.FULL
