"""The private names of Prefect that the warm worker leans on: this is what says so when an upgrade moves them."""

import asyncio
from http.server import BaseHTTPRequestHandler

import pytest
from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

from deployments.warm import internals, serving
from tests.serving import handled


def test_every_private_name_is_where_this_prefect_version_keeps_it() -> None:
    assert internals.moved() == []


def test_a_moved_name_or_parameter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = (("prefect.flow_engine", "_gone", ()), ("prefect.flow_engine", "_main", ("other",)))
    monkeypatch.setattr(internals, "CONTRACT", broken)
    assert internals.moved() == ["prefect.flow_engine._gone", "prefect.flow_engine._main"]


def test_the_stock_worker_serves_when_a_name_has_moved(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(internals, "CONTRACT", (("prefect.gone", "name", ()),))
    assert type(serving.new_worker("pool")).__name__ == "ProcessWorker"


def test_the_warm_worker_serves_otherwise() -> None:
    assert type(serving.new_worker("pool")).__name__ == "WarmWorker"


class Locked(BaseHTTPRequestHandler):
    """Answer as Prefect's server does while its SQLite is locked, twice; then as usual."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(503 if self.asked < 3 else 200)
        self.end_headers()
        self.wfile.write(b"true")

    def log_message(self, format: str, *args: object) -> None:
        pass


async def test_a_request_that_finds_the_database_locked_is_repeated_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for client in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        monkeypatch.setattr(client, "_send_with_retry", vars(client)["_send_with_retry"])
    internals.retry_soon()
    with handled(Locked) as server:
        url = f"http://127.0.0.1:{server.server_port}/api"
        async with asyncio.timeout(4), PrefectHttpxAsyncClient() as client:
            assert (await client.get(url)).status_code == 200
        assert Locked.asked == 3
        Locked.asked = 0
        with PrefectHttpxSyncClient() as client:
            assert client.get(url).status_code == 200
        assert Locked.asked == 3
