"""A stream ends, and so does what is spent on it, when who listens would not be let in any more."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from blocks.database import Database
from deployments.shim import access
from tasks.hosting import suspend_tenant
from tests.deployments.conftest import Shim
from tests.model_server import Act, ModelServer

LONG = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n" + "Green tea is steeped for three minutes. " * 400
GREEN = "How long is green tea steeped?"
CHAT: dict[str, Any] = {"query": GREEN}
COMPLETION: dict[str, Any] = {"model": "assistant", "stream": True, "messages": [{"role": "user", "content": GREEN}]}

Use = Callable[..., None]


class Asker(NamedTuple):
    """Hold a client of a key that is not the admin's, and the admin's."""

    client: httpx.AsyncClient
    admin: httpx.AsyncClient
    key_id: str
    tenant: UUID
    store: Database

    async def revoke(self) -> None:
        assert (await self.admin.delete(f"/api/v1/keys/{self.key_id}")).is_success

    async def confine(self) -> None:
        async with self.store.transaction(self.tenant) as connection:
            await connection.execute(text("update api_key set scopes = '[]' where id = :id"), {"id": self.key_id})

    async def suspend(self) -> None:
        await suspend_tenant(self.tenant, suspended=True)


@pytest.fixture
async def asker(shim: Shim, store: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asker]:
    monkeypatch.setattr(access, "LOOK_AGAIN_SECONDS", 0.2)
    async with shim.client() as admin:
        made = (await admin.post("/api/v1/keys", json={"name": "asks", "role": "analyst"})).json()
        async with shim._replace(key=made["key"]).client() as client:
            yield Asker(client, admin, made["details"]["id"], shim.tenant, store)


async def last_of(response: httpx.Response, sign: str, then: Callable[[], Awaitable[None]]) -> list[str]:
    """Do something as soon as a line holds the sign, and return the lines of the last event."""
    lines: list[str] = []
    async with asyncio.timeout(60):
        async for line in response.aiter_lines():
            if sign and sign in line:
                sign = ""
                await then()
            lines.append(line)
    return "\n".join(lines).strip().rpartition("\n\n")[2].splitlines()


def code_of(data: str) -> str:
    return json.loads(data.removeprefix("data: "))["error"]["code"]


ENDINGS = [
    (Asker.revoke, "unauthenticated"),
    (Asker.confine, "forbidden"),
    (Asker.suspend, "tenant_suspended"),
]


@pytest.mark.parametrize(("end", "code"), ENDINGS)
@pytest.mark.parametrize(
    ("path", "body", "sign"), [("/api/v1/chat", CHAT, "event: text"), ("/v1/chat/completions", COMPLETION, "minutes")]
)
async def test_an_answer_ends_with_the_right_to_ask_and_so_does_its_spending(
    asker: Asker, use: Use, model_server: ModelServer, end: Any, code: str, path: str, body: Any, sign: str
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, drip=0.05)
    async with asker.client.stream("POST", path, json=body) as response:
        *name, data = await last_of(response, sign, lambda: end(asker))
    assert (name, code_of(data)) == (["event: error"] if path == "/api/v1/chat" else [], code)
    assert await all_is_said(model_server) < len(LONG.split())


async def test_an_answer_to_be_finished_for_nobody_is_not_finished_for_who_may_not_ask(
    asker: Asker, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, drip=0.05)
    async with asker.client.stream("POST", "/api/v1/chat", json=CHAT | {"on_disconnect": "finish"}) as response:
        query_id = response.headers["x-query-id"]
        async for line in response.aiter_lines():
            if line == "event: text":
                break
    await asker.revoke()
    assert await all_is_said(model_server) < len(LONG.split())
    answer = (await asker.admin.get(f"/api/v1/query/{query_id}")).json()
    assert (answer["status"], answer["error"]["message"]) == ("stopped", access.SHUT_OUT)


@pytest.mark.parametrize(("end", "code"), ENDINGS)
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/query", CHAT),
        ("/api/v1/chat", CHAT | {"stream": False}),
        ("/v1/chat/completions", COMPLETION | {"stream": False}),
    ],
)
async def test_an_answer_in_one_piece_ends_with_the_right_to_ask_and_nothing_is_asked_after_it(
    asker: Asker, use: Use, model_server: ModelServer, end: Any, code: str, path: str, body: Any
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, delay=60)
    asking = asyncio.create_task(asker.client.post(path, json=body))
    while not model_server.asked:
        await asyncio.sleep(0.01)
    await end(asker)
    async with asyncio.timeout(20):
        reply = await asking
    assert reply.json()["error"]["code"] == code
    assert len(model_server.asked) == 1


async def test_an_answer_ends_when_its_conversation_is_deleted(
    asker: Asker, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=LONG, drip=0.05)
    conversation = (await asker.client.post("/api/v1/conversations")).json()["id"]

    async def delete() -> None:
        assert (await asker.client.delete(f"/api/v1/conversations/{conversation}")).is_success

    body = CHAT | {"conversation_id": conversation}
    async with asker.client.stream("POST", "/api/v1/chat", json=body) as response:
        *_, data = await last_of(response, "event: text", delete)
    assert code_of(data) == "not_found"
    assert await all_is_said(model_server) < len(LONG.split())


async def test_a_teams_history_is_told_no_further(asker: Asker) -> None:
    plan = {"steps": [{"id": "facts", "persona": "analyst", "tools": ["search"]}]}
    made = (await asker.admin.post("/api/v1/teams", json={"question": GREEN, "plan": plan})).json()
    async with asker.client.stream("GET", f"/api/v1/teams/{made['team_id']}/events") as response:
        name, data = await last_of(response, "retry", asker.revoke)
    assert (name, code_of(data)) == ("event: error", "unauthenticated")


async def test_looking_again_is_counted_as_no_request(asker: Asker, use: Use, model_server: ModelServer) -> None:
    use(model_server.target())
    model_server.default = Act(content=" ".join(LONG.split()[:60]), drip=0.05)
    limits = {"requests_per_minute": 3}
    assert (await asker.admin.put(f"/api/v1/allowances/{asker.key_id}", json=limits)).is_success
    await asker.client.post("/api/v1/chat", json=CHAT)
    assert (await asker.client.get("/api/v1/auth/me")).status_code == 200


async def all_is_said(server: ModelServer) -> int:
    """Return how many pieces were sent once no more are."""
    sent = -1
    while sent != server.sent_pieces:
        sent = server.sent_pieces
        await asyncio.sleep(0.5)
    return sent
