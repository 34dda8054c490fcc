"""One id follows a request through the logs, Prefect's runs and the model's provider."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import structlog
from sqlalchemy import select
from sqlmodel import col

from blocks.connections import database
from deployments.logs import configure
from deployments.shim.records import RunRecord
from kowai.correlation import accepted, correlated, request_id, tagged
from kowai.tables.ledger import Outbox
from tests.deployments.conftest import People, Shim
from tests.model_server import ModelServer

GIVEN = "support-case-0815.a"


async def test_a_reply_names_the_request_it_belongs_to(people: People) -> None:
    async with people.calling() as client:
        chosen = (await client.get("/live")).headers["X-Request-ID"]
        other = (await client.get("/live")).headers["X-Request-ID"]
        kept = (await client.get("/live", headers={"X-Request-ID": GIVEN})).headers["X-Request-ID"]
        broken = await client.get("/nowhere", headers={"X-Request-ID": GIVEN})
    assert len(chosen) == 32
    assert chosen != other
    assert kept == broken.headers["X-Request-ID"] == GIVEN


@pytest.mark.parametrize(
    "wrong",
    ["", "short", "a" * 65, "a b c d e f g", "x\r\nSet-Cookie: a=b", "-leading-hyphen", "ümlaut-ümlaut"],
)
def test_what_is_no_id_is_replaced(wrong: str) -> None:
    assert accepted(wrong) != wrong


@pytest.mark.parametrize(
    "wrong", ["4111111111111111", "DE89370400440532013000", "AKIAIOSFODNN7EXAMPLE", "carmen@canary.example"]
)
def test_personal_data_and_secrets_are_no_id(wrong: str) -> None:
    assert accepted(wrong) != wrong


@pytest.mark.parametrize("good", ["01890a5d-ac96-774b-bcce-b302099a8057", "0af7651916cd43dd8448eb211c80319c", GIVEN])
def test_an_id_of_the_clients_own_is_kept(good: str) -> None:
    assert accepted(good) == good


async def test_the_provider_prefects_run_and_every_log_line_name_the_request(
    shim: Shim, use: Callable[..., None], model_server: ModelServer, capfd: pytest.CaptureFixture[str]
) -> None:
    use(model_server.target())
    async with shim.client() as client:
        asked = {"query": "How long is green tea steeped?"}
        reply = await client.post("/api/v1/query", json=asked, headers={"X-Request-ID": GIVEN})
    reply.raise_for_status()
    assert model_server.headers[-1]["x-request-id"] == GIVEN
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines() if line.startswith("{")]
    ours = [line for line in lines if line.get("request_id") == GIVEN]
    assert {line["step"] for line in ours if line["event"] == "step"} >= {"admit", "retrieve", "generate"}
    (served,) = [line for line in ours if line["event"] == "request"]
    assert (served["route"], served["status"], served["method"]) == ("/api/v1/query", 200, "POST")
    assert "tea" not in json.dumps(ours)
    async with (await database()).transaction(shim.tenant) as connection:
        payloads = (await connection.scalars(select(col(Outbox.payload)))).all()
    assert GIVEN in [payload.get("request_id") for payload in payloads]


def test_a_run_in_prefect_carries_the_id_as_a_tag() -> None:
    record = RunRecord(deployment="a/b", parameters={}, started_at=datetime.now(UTC), request_id=GIVEN)
    created = record.creation(uuid4())
    assert tagged(created["tags"]) == GIVEN
    assert tagged(["answers", "tenant_id:x"]) is None


def test_an_id_ends_with_its_request() -> None:
    with correlated(GIVEN), correlated(None):
        assert request_id() == GIVEN
    assert request_id() is None


def test_personal_data_in_a_log_line_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    log = structlog.get_logger()
    try:
        raise ValueError("carmen@canary.example was refused")
    except ValueError:
        log.exception("request broke", operator="https://bank.example/?iban=DE89370400440532013000")
    (line,) = capsys.readouterr().out.splitlines()
    logged = json.loads(line)
    assert "canary.example" not in line
    assert "DE89370400440532013000" not in line
    assert "ValueError" in logged["exception"]
    assert logged["level"] == "error"
