"""An answer is told while it is written, can be picked up anywhere, and is paid for only while somebody listens."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.deployments.conftest import TEA, Shim
from tests.model_server import Act, ModelServer, silence

GREEN = "How long is green tea steeped?"
SPOKEN = "Green tea is steeped for three minutes [1]. It was invented by penguins [2]."
REPLY = f"[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{SPOKEN}\n\n[[ ## completed ## ]]"
LONG = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n" + "Green tea is steeped for three minutes. " * 40

Use = Callable[..., None]


class Told(NamedTuple):
    id: int
    event: str
    data: dict[str, Any]


async def events(response: httpx.Response) -> AsyncIterator[Told]:
    frame: dict[str, str] = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if not line and "data" in frame:
            yield Told(int(frame["id"]), frame["event"], json.loads(frame["data"]))
        frame = frame | {name: value} if line else {}


async def everything(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> list[Told]:
    async with client.stream(method, path, **request) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        return [told async for told in events(response)]


def text(told: list[Told]) -> str:
    return "".join(one.data["text"] for one in told if one.event == "text")


def calls(url: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute("select * from model_call order by created_at").fetchall()


async def test_an_extractive_answer_is_told_and_cited(shim: Shim) -> None:
    async with shim.client() as client:
        told = await everything(client, "POST", "/api/v1/chat", json={"message": GREEN})
        assert [one.event for one in told[:2]] == ["queued", "started"]
        answer = told[-1].data
        assert (told[-1].event, answer["status"], answer["struck_out"]) == ("answer", "done", [])
        assert text(told) == answer["answer"]
        assert "three minutes" in answer["citations"][0]["quote"]
        stored = (await client.get(f"/api/v1/query/{told[0].data['query_id']}")).json()
        assert stored["answer"] == answer["answer"]


async def test_a_key_does_not_go_on_with_what_another_has_asked(shim: Shim) -> None:
    async with shim.client() as client:
        told = await everything(client, "POST", "/api/v1/chat", json={"query": GREEN})
        wanted = {"name": "other", "role": "viewer", "scopes": ["questions.ask"]}
        key = (await client.post("/api/v1/keys", json=wanted)).json()["key"]
        by_other = {"Authorization": f"Bearer {key}", "Last-Event-ID": str(told[0].id)}
        own = await everything(client, "POST", "/api/v1/chat", json={"query": "What is tea?"}, headers=by_other)
    assert own[0].data["query_id"] != told[0].data["query_id"]


async def test_a_models_words_are_told_bare_and_the_last_event_says_what_was_struck_out(
    shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY, drip=0.03)
    async with shim.client() as client:
        told = await everything(client, "POST", "/api/v1/chat", json={"query": GREEN})
    assert text(told) == "Green tea is steeped for three minutes. It was invented by penguins."
    assert len([one for one in told if one.event == "text"]) > 2
    answer = told[-1].data
    assert answer["model"] == "local"
    assert answer["fallback"] is False
    assert all(citation["quote"] in TEA for citation in answer["citations"])
    bare = answer["answer"].replace(" [1]", "")
    assert all(sentence not in bare for sentence in answer["struck_out"])


async def test_a_model_that_ignores_the_asked_for_form_is_understood(
    shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=SPOKEN)
    async with shim.client() as client:
        told = await everything(client, "POST", "/api/v1/chat", json={"query": GREEN})
    assert text(told).startswith("Green tea is steeped for three minutes.")
    assert told[-1].data["citations"]
    assert len(model_server.asked) == 1


async def test_a_client_that_comes_back_misses_nothing_and_hears_nothing_twice(
    shim: Shim, second_shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY, drip=0.1)
    body = {"query": GREEN, "on_disconnect": "finish"}
    async with shim.client() as client, second_shim.client() as elsewhere:
        heard = list[Told]()
        async with client.stream("POST", "/api/v1/chat", json=body) as response:
            async for told in events(response):
                heard.append(told)
                if told.event == "text":
                    break
        query_id, last = heard[0].data["query_id"], {"Last-Event-ID": str(heard[-1].id)}
        path = f"/api/v1/chat/{query_id}/events"
        rest, by_post = await asyncio.gather(
            everything(elsewhere, "GET", path, headers=last),
            everything(client, "POST", "/api/v1/chat", json=body, headers=last),
        )
        whole = await everything(client, "GET", path)
        done = await client.get(path, headers={"Last-Event-ID": str(whole[-1].id)})
    assert heard + rest == heard + by_post == whole
    assert len(model_server.asked) == 1
    assert done.status_code == 204


async def test_a_client_that_goes_away_stops_the_spending(
    shim: Shim, use: Use, model_server: ModelServer, database_url: str
) -> None:
    use(model_server.target(price="100", max_output_tokens=400), request_limit="5")
    model_server.default = Act(content=LONG, drip=0.05)
    async with shim.client() as client:
        async with client.stream("POST", "/api/v1/chat", json={"query": GREEN}) as response:
            async for told in events(response):
                if told.event == "text":
                    break
        query_id = response.headers["x-query-id"]
        assert await silence(model_server) < 200
        while (answer := (await client.get(f"/api/v1/query/{query_id}")).json())["status"] == "running":
            await asyncio.sleep(0.05)
        rest = await everything(client, "GET", f"/api/v1/chat/{query_id}/events")
    assert (answer["status"], answer["error"]["code"]) == ("stopped", "stopped")
    assert rest[-1].data["status"] == "stopped"
    (call,) = calls(database_url)
    assert call["state"] == "void"
    assert 0 < call["charged"] <= call["reserved"]


async def test_an_answer_goes_on_while_somebody_else_listens(shim: Shim, use: Use, model_server: ModelServer) -> None:
    use(model_server.target())
    model_server.default = Act(content=REPLY, drip=0.15)
    async with shim.client() as client, AsyncExitStack() as elsewhere:
        async with client.stream("POST", "/api/v1/chat", json={"query": GREEN}) as response:
            path = f"/api/v1/chat/{response.headers['x-query-id']}/events"
            other = events(await elsewhere.enter_async_context(client.stream("GET", path)))
            await anext(other)
            async for told in events(response):
                if told.event == "text":
                    break
        assert [told async for told in other][-1].data["status"] == "done"


async def test_a_failing_model_ends_the_stream_with_the_failure(
    shim: Shim, use: Use, model_server: ModelServer
) -> None:
    use(model_server.target())
    model_server.default = Act(status=400, message="no")
    async with shim.client() as client:
        told = await everything(client, "POST", "/api/v1/chat", json={"query": GREEN})
    assert (told[-1].event, told[-1].data["status"]) == ("answer", "failed")
    assert told[-1].data["error"]["code"] == "model_refused"


async def test_without_streaming_the_answer_is_one_json(shim: Shim) -> None:
    async with shim.client() as client:
        answer = (await client.post("/api/v1/chat", json={"query": GREEN, "stream": False})).json()
    assert answer["status"] == "done"


@pytest.mark.parametrize("last", ["soon", "-1", "1.5", pytest.param("9" * 5000, id="long")])
async def test_a_last_event_id_that_is_none_is_refused(shim: Shim, last: str) -> None:
    async with shim.client() as client:
        refused = await client.get(f"/api/v1/chat/{uuid4()}/events", headers={"Last-Event-ID": last})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_input")
        assert (await client.get(f"/api/v1/chat/{uuid4()}/events")).status_code == 404
