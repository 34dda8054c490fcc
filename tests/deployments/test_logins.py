"""People log in with a password, go on by tokens that work once, and are locked out when they guess."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from deployments.shim.access_tokens import Caller, make_access_token
from tasks import logins, passwords
from tests.deployments.conftest import People

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
QUICK = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
in_earnest = passwords._hasher


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    passwords._nobodys.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", lambda: QUICK)
    yield
    passwords._nobodys.cache_clear()


async def add(people: People, tenant: UUID, email: str = EMAIL, role: str = "analyst") -> dict[str, Any]:
    async with people.admin(tenant) as admin:
        added = (await admin.post("/api/v1/users", json={"email": email, "role": role})).json()
    async with people.calling() as client:
        new = {"token": added["password_token"], "password": PASSWORD}
        assert (await client.post("/api/v1/auth/password-reset", json=new)).status_code == 204
    return added["user"]


async def log_in(client: httpx.AsyncClient, **changes: str) -> httpx.Response:
    return await client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD} | changes)


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def me(people: People, token: str) -> httpx.Response:
    async with people.calling(token) as client:
        return await client.get("/api/v1/auth/me")


async def test_a_user_sets_a_password_logs_in_and_is_known(people: People, tenant: UUID) -> None:
    user = await add(people, tenant)
    async with people.calling() as client:
        tokens = (await log_in(client)).json()
    found = (await me(people, tokens["access_token"])).json()
    assert (found["id"], found["name"], found["role"]) == (user["id"], EMAIL, "analyst")


async def test_passwords_are_stored_under_argon2id_only(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.database.transaction(tenant) as connection:
        stored = await connection.scalar(text("select password_hash from user_account"))
    assert stored.startswith("$argon2id$")


def test_a_hash_costs_what_rfc_9106_recommends_where_memory_is_short() -> None:
    assert in_earnest().hash(PASSWORD).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


@pytest.mark.parametrize("password", ["short", "a" * 40, "x" * 201])
async def test_weak_passwords_are_refused_and_the_token_stays(people: People, tenant: UUID, password: str) -> None:
    async with people.admin(tenant) as admin:
        added = (await admin.post("/api/v1/users", json={"email": EMAIL})).json()
    async with people.calling() as client:
        new = {"token": added["password_token"], "password": password}
        assert (await client.post("/api/v1/auth/password-reset", json=new)).status_code == 422
        good = await client.post("/api/v1/auth/password-reset", json=new | {"password": PASSWORD})
    assert good.status_code == 204


async def test_a_password_token_works_once(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        added = (await admin.post("/api/v1/users", json={"email": EMAIL})).json()
    async with people.calling() as client:
        new = {"token": added["password_token"], "password": PASSWORD}
        codes = [(await client.post("/api/v1/auth/password-reset", json=new)).status_code for _ in range(2)]
    assert codes == [204, 401]


async def test_whatever_is_wrong_the_answer_is_the_same(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        wrong = [
            await log_in(client, password="wrong horse battery"),
            await log_in(client, email="nobody@example.org"),
            await log_in(client, tenant="no such tenant"),
        ]
    assert {response.status_code for response in wrong} == {401}
    assert len({response.text for response in wrong}) == 1


async def test_an_unknown_user_costs_a_whole_hash_as_well(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    verify = passwords._hasher().verify
    monkeypatch.setattr(passwords._hasher(), "verify", lambda *pair: hashed.append(pair[1]) or verify(*pair))
    await add(people, tenant)
    async with people.calling() as client:
        await log_in(client, password="wrong horse battery")
        await log_in(client, email="nobody@example.org")
    known, unknown = ([*one.split("$")[1:4]] for one in hashed)
    assert known == unknown


async def test_five_wrong_passwords_lock_the_account_even_for_the_right_one(people: People, tenant: UUID) -> None:
    user = await add(people, tenant)
    async with people.calling() as client:
        for _ in range(5):
            await log_in(client, password="wrong horse battery")
        assert (await log_in(client)).status_code == 401
        async with people.admin(tenant) as admin:
            await admin.patch(f"/api/v1/users/{user['id']}", json={"disabled": False})
        assert (await log_in(client)).status_code == 200


async def test_who_has_somebodys_login_does_not_guess_their_password(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        tokens = (await log_in(client)).json()
    async with people.calling(tokens["access_token"]) as thief:
        for guess in (*["wrong horse battery"] * 5, PASSWORD):
            change = {"old_password": guess, "new_password": "another horse battery"}
            assert (await thief.post("/api/v1/auth/password", json=change)).status_code == 401


async def test_refreshing_gives_the_next_token(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        first = (await log_in(client)).json()
        second = (await refresh(client, first["refresh_token"])).json()
        third = await refresh(client, second["refresh_token"])
    assert third.status_code == 200
    assert (await me(people, third.json()["access_token"])).status_code == 200


async def test_a_refresh_token_that_comes_twice_ends_the_login_for_both(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        first = (await log_in(client)).json()
        second = (await refresh(client, first["refresh_token"])).json()
        again = await refresh(client, first["refresh_token"])
        assert again.json()["error"]["code"] == "token_reused"
        assert (await refresh(client, second["refresh_token"])).status_code == 401
    assert (await me(people, second["access_token"])).status_code == 401


async def test_logging_out_ends_the_access_token_at_once_and_no_other_login(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        one, other = (await log_in(client)).json(), (await log_in(client)).json()
        left = await client.post("/api/v1/auth/logout", json={"refresh_token": one["refresh_token"]})
    assert left.status_code == 204
    assert (await me(people, one["access_token"])).status_code == 401
    assert (await me(people, other["access_token"])).status_code == 200


async def test_a_disabled_user_is_out_at_once(people: People, tenant: UUID) -> None:
    user = await add(people, tenant)
    async with people.calling() as client:
        tokens = (await log_in(client)).json()
    async with people.admin(tenant) as admin:
        await admin.patch(f"/api/v1/users/{user['id']}", json={"disabled": True})
    assert (await me(people, tokens["access_token"])).status_code == 401


async def test_changing_the_password_takes_the_old_one_and_ends_every_login(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        token = (await log_in(client)).json()["access_token"]
    async with people.calling(token) as user:
        change = {"old_password": "not this one", "new_password": "another long sentence"}
        assert (await user.post("/api/v1/auth/password", json=change)).status_code == 401
        assert (await user.post("/api/v1/auth/password", json=change | {"old_password": PASSWORD})).status_code == 204
        assert (await user.get("/api/v1/auth/me")).status_code == 401
        assert (await log_in(user, password="another long sentence")).status_code == 200


def forged(of: UUID, user: UUID, **changes: Any) -> str:
    claims = {"iss": "kowai", "aud": "kowai", "sub": str(user), "tenant": str(of), "login": str(uuid4())}
    claims |= {"jti": "1", "iat": datetime.now(UTC), "exp": datetime.now(UTC) + timedelta(minutes=5)} | changes
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, "k" * 64, "HS256")


async def test_tokens_that_are_forged_or_lack_a_claim_are_refused(people: People, tenant: UUID) -> None:
    user = UUID((await add(people, tenant))["id"])
    good = make_access_token(Caller(tenant, user, uuid4()), datetime.now(UTC))
    late = make_access_token(Caller(tenant, user, uuid4()), datetime.now(UTC) - timedelta(hours=1))
    none = jwt.encode({"sub": str(user), "tenant": str(tenant)}, "", "none")
    lacking = [forged(tenant, user, **{claim: None}) for claim in ("exp", "aud", "iss", "sub", "tenant", "login")]
    for token in (good[:-2], good, late, none, *lacking, forged(tenant, user, aud="other"), "a.b.c", "x" * 3000):
        assert (await me(people, token)).status_code == 401


async def test_a_user_of_one_tenant_is_nobody_in_another(people: People, tenant: UUID, other_tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        assert (await log_in(client, tenant="other")).status_code == 401


async def test_nobody_hands_out_a_role_above_their_own(people: People, tenant: UUID) -> None:
    boss = await add(people, tenant, "boss@example.org", "admin")
    async with people.admin(tenant) as admin:
        above = {"email": "up@example.org", "role": "platform_admin"}
        assert (await admin.post("/api/v1/users", json=above)).status_code == 403
        up = await admin.patch(f"/api/v1/users/{boss['id']}", json={"role": "platform_admin"})
        assert up.status_code == 403
    async with people.admin(tenant, "operator") as operator:
        assert (await operator.get("/api/v1/users")).status_code == 403


async def test_two_users_cannot_share_an_address(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as admin:
        codes = [
            (await admin.post("/api/v1/users", json={"email": address})).status_code
            for address in (EMAIL, EMAIL.upper(), "no address")
        ]
    assert codes == [201, 409, 422]


async def test_guesses_at_the_same_time_are_no_more_than_guesses_in_turn(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(people, tenant)
    looked_at: list[str] = []
    verify = passwords._hasher().verify
    async with people.database.transaction(tenant) as connection:
        stored = await connection.scalar(text("select password_hash from user_account"))
    monkeypatch.setattr(passwords._hasher(), "verify", lambda *pair: looked_at.append(pair[1]) or verify(*pair))
    async with people.calling() as client:
        await asyncio.gather(*(log_in(client, password="wrong horse battery") for _ in range(15)))
        assert (len(looked_at), looked_at.count(stored)) == (15, 5)
        assert (await log_in(client)).status_code == 401


async def test_the_right_password_takes_the_attempts_before_it_back(people: People, tenant: UUID) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        for _ in range(2):
            for _ in range(4):
                await log_in(client, password="wrong horse battery")
            assert (await log_in(client)).status_code == 200


async def test_a_password_that_is_changed_while_it_is_looked_at_lets_nobody_in(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(people, tenant)
    async with people.calling() as client:
        token = (await log_in(client)).json()["access_token"]
    seen, changed = asyncio.Event(), asyncio.Event()

    async def slowly(password: str, known: str | None) -> bool:
        seen.set()
        await changed.wait()
        return await passwords.verify_password(password, known)

    async with people.calling() as thief, people.calling(token) as user:
        monkeypatch.setattr(logins, "verify_password", slowly)
        entering = asyncio.create_task(log_in(thief))
        await seen.wait()
        monkeypatch.setattr(logins, "verify_password", passwords.verify_password)
        change = {"old_password": PASSWORD, "new_password": "another long sentence"}
        assert (await user.post("/api/v1/auth/password", json=change)).status_code == 204
        changed.set()
        assert (await entering).status_code == 401


@pytest.mark.parametrize("ending", ["logout", "password"])
async def test_what_ends_a_login_ends_one_that_just_goes_on_as_well(
    people: People, tenant: UUID, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    await add(people, tenant)
    goes_on, commits = asyncio.Event(), asyncio.Event()
    continued = logins._continue

    async def slowly(*values: Any) -> logins.Login:
        login = await continued(*values)
        goes_on.set()
        await commits.wait()
        return login

    async with people.calling() as client:
        tokens = (await log_in(client)).json()
        monkeypatch.setattr(logins, "_continue", slowly)
        refreshing = asyncio.create_task(refresh(client, tokens["refresh_token"]))
        await goes_on.wait()
        async with people.calling(tokens["access_token"]) as user:
            bodies = {
                "logout": {"refresh_token": tokens["refresh_token"]},
                "password": {"old_password": PASSWORD, "new_password": "another long sentence"},
            }
            leaving = asyncio.create_task(user.post(f"/api/v1/auth/{ending}", json=bodies[ending]))
            await waiting_for_a_lock(people, leaving)
        commits.set()
        assert (await leaving).status_code == 204
        token = (await refreshing).json()["access_token"]
    assert (await me(people, token)).status_code == 401


async def waiting_for_a_lock(people: People, task: asyncio.Task[Any]) -> None:
    """Return once somebody waits for a lock in the database; `task` is to end only after that."""
    waiting = text("select exists (select from pg_stat_activity where wait_event_type = 'Lock')")
    while not task.done():
        async with people.database.connection() as connection:
            if await connection.scalar(waiting):
                return
        await asyncio.sleep(0.01)
