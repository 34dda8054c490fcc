"""Appwrite's SDK, which knows neither timeouts nor asynchronous callers, is bounded on all sides."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from appwrite.client import Client
from appwrite.services.account import Account
from appwrite.services.teams import Teams

from blocks.appwrite import Appwrite
from blocks.appwrite_calls import IDENTITY, AppwriteRefused, AppwriteUnavailable, Lane
from tests import appwrite_contract
from tests.appwrite_server import AppwriteServer, serving


@pytest.fixture
def appwrite() -> Iterator[AppwriteServer]:
    with serving() as server:
        yield server


def email(client: Client) -> str:
    return Account(client).get().email


def make_team(client: Client) -> str:
    return Teams(client).create("acme", "Acme").name


@pytest.mark.skipif(not appwrite_contract.PATH.exists(), reason=appwrite_contract.ABSENT)
def test_replies_that_appwrite_would_not_give_are_found() -> None:
    assert "required" in str(appwrite_contract.fault("GET", "/account", 200, b"{}"))
    assert "never answers" in str(appwrite_contract.fault("GET", "/account", 202, b"{}"))
    assert "knows no" in str(appwrite_contract.fault("GET", "/nothing", 200, b"{}"))


async def test_a_user_and_the_server_call_side_by_side_and_share_no_access(appwrite: AppwriteServer) -> None:
    block = appwrite.block()
    for user in ("ann", "bob"):
        appwrite.join(user, "acme")
    tokens = [appwrite.token(user) for user in ("ann", "bob") * 8]
    told = await asyncio.gather(*(block.call(email, lane=IDENTITY, token=token) for token in tokens))
    assert told == ["ann@example.org", "bob@example.org"] * 8
    assert await block.call(make_team) == "Acme"
    with pytest.raises(AppwriteRefused) as refused:
        await block.call(make_team, token=tokens[0])
    assert (refused.value.status, refused.value.kind) == (401, "general_unauthorized_scope")


async def test_a_call_ends_in_time_though_the_server_says_nothing_and_then_others_do_not_wait(
    appwrite: AppwriteServer,
) -> None:
    lane = Lane("test", 2, seconds=5, read_seconds=0.2)
    appwrite.delay = 1.0
    for _ in range(3):
        with pytest.raises(AppwriteUnavailable):
            await appwrite.block().call(email, lane=lane, token="t")
    asked = len(appwrite.asked)
    with pytest.raises(AppwriteUnavailable, match="does not answer") as refused:
        await appwrite.block().call(email, lane=lane, token="t")
    assert "rests" in str(refused.value.operator)
    assert len(appwrite.asked) == asked


async def test_a_call_waits_for_a_thread_no_longer_than_for_an_answer(appwrite: AppwriteServer) -> None:
    lane = Lane("test", 1, seconds=1.0, read_seconds=10)
    free = threading.Event()
    for call in (lambda _: free.wait(60), email):  # the second finds no thread
        with pytest.raises(AppwriteUnavailable, match="does not answer"):
            await appwrite.block().call(call, lane=lane, token="t")
    assert appwrite.asked == []
    free.set()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_in_trouble_is_unavailable(appwrite: AppwriteServer, status: int) -> None:
    appwrite.status = status
    with pytest.raises(AppwriteUnavailable):
        await appwrite.block().call(make_team)


async def test_a_reply_without_a_content_type_is_no_crash(appwrite: AppwriteServer) -> None:
    appwrite.untyped = True
    with pytest.raises((AppwriteRefused, AppwriteUnavailable)):
        await appwrite.block().call(email, token="wrong")


async def test_access_never_follows_a_redirect(appwrite: AppwriteServer) -> None:
    with serving() as elsewhere:
        appwrite.moved_to = f"{elsewhere.url}/v1/account"
        with pytest.raises(AppwriteUnavailable):
            await appwrite.block().call(make_team)
        assert elsewhere.asked == []


async def test_nobody_listening_is_unavailable() -> None:
    with pytest.raises(AppwriteUnavailable):
        await Appwrite(endpoint="http://127.0.0.1:9/v1", project="p", api_key="k").call(make_team)  # pyright: ignore[reportArgumentType]
