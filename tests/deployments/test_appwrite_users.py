"""Users of Appwrite call by their own tokens: their teams are tenants, their labels and team roles are roles."""

import asyncio
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest

from blocks import appwrite_calls, connections
from blocks.appwrite import Appwrite
from tasks import enter_by_appwrite
from tests.appwrite_server import AppwriteServer, serving
from tests.deployments.conftest import People

ME = "/api/v1/auth/me"
TEAMS = {"team-1": "default", "team-2": "other"}


@pytest.fixture
def appwrite() -> Iterator[AppwriteServer]:
    with serving() as server:
        yield server


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, appwrite: AppwriteServer) -> Callable[..., None]:
    """Return a function that tells this process of the project, and do so."""

    def configure(**more: Any) -> None:
        known = connections.Known(appwrite.block(**({"teams": TEAMS} | more)), time.monotonic() + 3600)
        monkeypatch.setitem(connections._known, Appwrite, known)

    configure()
    return configure


async def called(people: People, token: str, **headers: str) -> httpx.Response:
    async with people.calling(token) as client:
        return await client.get(ME, headers=headers)


async def code(people: People, token: str, **headers: str) -> tuple[int, str]:
    reply = await called(people, token, **headers)
    return reply.status_code, reply.json()["error"]["code"]


@pytest.mark.usefixtures("connect", "other_tenant")
async def test_a_user_is_in_the_tenant_of_their_team_as_what_label_and_team_role_say(
    people: People, tenant: UUID, appwrite: AppwriteServer
) -> None:
    appwrite.join("ann", "team-1", "analyst")
    appwrite.join("bob", "team-1", labels=("operator", "redhead"))
    appwrite.join("eve", "team-1", "owner")
    appwrite.join("tom", "team-1", "platform_admin", labels=("platformadmin",))
    seen = {name: (await called(people, appwrite.token(name))).json() for name in ("ann", "bob", "eve", "tom")}
    assert {name: each["role"] for name, each in seen.items()} == {
        "ann": "analyst",
        "bob": "operator",
        "eve": "admin",
        "tom": "viewer",
    }
    assert {each["tenant_id"] for each in seen.values()} == {str(tenant)}
    assert seen["ann"]["name"] == "ann@example.org"
    assert len({each["id"] for each in seen.values()}) == 4
    async with people.calling(appwrite.token("tom")) as tom:
        assert (await tom.get("/api/v1/users")).status_code == 403


@pytest.mark.usefixtures("connect")
async def test_a_user_of_two_teams_says_for_which_and_reaches_no_third(
    people: People, tenant: UUID, other_tenant: UUID, appwrite: AppwriteServer
) -> None:
    appwrite.join("ann", "team-1", "analyst")
    appwrite.join("ann", "team-2")
    token = appwrite.token("ann")
    assert await code(people, token) == (422, "tenant_unnamed")
    for name, tenant_id, role in (("default", tenant, "analyst"), ("other", other_tenant, "viewer")):
        seen = (await called(people, token, **{"X-Kowai-Tenant": name})).json()
        assert (seen["tenant_id"], seen["role"]) == (str(tenant_id), role)
    assert await code(people, token, **{"X-Kowai-Tenant": "third"}) == (403, "unknown_team")


@pytest.mark.usefixtures("connect", "tenant")
async def test_teams_that_mean_nothing_invitations_and_tenants_that_do_not_exist_let_nobody_in(
    people: People, appwrite: AppwriteServer
) -> None:
    appwrite.join("ann", "default", "owner", labels=("admin",))
    appwrite.join("bob", "team-1", "owner", confirm=False)
    appwrite.join("eve", "team-2", "owner")
    for name in ("ann", "bob", "eve"):
        assert await code(people, appwrite.token(name)) == (403, "unknown_team")


@pytest.mark.usefixtures("connect")
async def test_a_suspended_tenant_is_closed_to_them_too(people: People, tenant: UUID, appwrite: AppwriteServer) -> None:
    appwrite.join("ann", "team-1")
    token = appwrite.token("ann")
    assert (await called(people, token)).status_code == 200
    from tasks.hosting import suspend_tenant

    await suspend_tenant(tenant, suspended=True)
    assert await code(people, token) == (403, "tenant_suspended")


@pytest.mark.usefixtures("connect", "tenant")
async def test_an_expired_a_forged_and_a_blocked_users_token_are_refused(
    people: People, appwrite: AppwriteServer
) -> None:
    appwrite.join("ann", "team-1")
    expired, sound = appwrite.token("ann", minutes=-1), appwrite.token("ann")
    assert await code(people, expired) == (401, "token_expired")
    assert appwrite.asked == []
    assert await code(people, sound[:-4] + "AAAA") == (401, "unauthenticated")
    appwrite.users["ann"]["status"] = False
    for _ in range(3):
        assert await code(people, sound) == (401, "unauthenticated")
    assert appwrite.asked.count("GET /account") == 2


@pytest.mark.usefixtures("connect", "tenant")
async def test_appwrite_is_asked_once_a_minute_and_once_for_all_who_call_at_once(
    people: People, appwrite: AppwriteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    appwrite.join("ann", "team-1")
    token = appwrite.token("ann")
    assert {each.status_code for each in await asyncio.gather(*(called(people, token) for _ in range(8)))} == {200}
    assert appwrite.asked == ["GET /account", "GET /users/ann/memberships"]
    appwrite.status = 503
    assert (await called(people, token)).status_code == 200
    later = time.monotonic() + 61
    monkeypatch.setattr(enter_by_appwrite, "time", SimpleNamespace(monotonic=lambda: later, time=time.time))
    assert await code(people, token) == (503, "appwrite_unavailable")


@pytest.mark.usefixtures("connect")
async def test_while_appwrite_is_down_keys_and_local_logins_go_on(
    people: People, tenant: UUID, appwrite: AppwriteServer
) -> None:
    appwrite.join("ann", "team-1")
    appwrite.status = 500
    reply = await called(people, appwrite.token("ann"))
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "appwrite_unavailable")
    assert reply.headers["Retry-After"] == "1"
    asked = len(appwrite.asked)
    assert (await called(people, await people.key(tenant, "viewer"))).status_code == 200
    async with people.admin(tenant) as admin, people.calling() as local:
        user = (await admin.post("/api/v1/users", json={"email": "loc@example.org", "role": "viewer"})).json()
        set_up = {"token": user["password_token"], "password": "correct horse battery"}
        assert (await local.post("/api/v1/auth/password-reset", json=set_up)).status_code == 204
        login = {"email": "loc@example.org", "password": "correct horse battery"}
        access = (await local.post("/api/v1/auth/login", json=login)).json()["access_token"]
    assert (await called(people, access)).json()["name"] == "loc@example.org"
    assert len(appwrite.asked) == asked


async def test_without_a_project_a_token_of_appwrites_is_no_token(
    people: People, tenant: UUID, appwrite: AppwriteServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections._known, Appwrite, connections.Known(None, time.monotonic() + 3600))
    assert await code(people, appwrite.token("ann")) == (401, "unauthenticated")


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    enter_by_appwrite._seen.clear()
    appwrite_calls.IDENTITY._circuits.clear()
