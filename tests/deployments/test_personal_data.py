"""Personal data that somebody plants in documents and questions reaches no provider, no log and no Prefect."""

import asyncio
import base64
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prefect.logging.handlers import APILogHandler
from prefect.settings import (
    PREFECT_HOME,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_SERVER_DATABASE_CONNECTION_URL,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness
from prometheus_client import generate_latest
from psycopg import sql
from sqlalchemy import make_url

from deployments.shim.answers import read_answer
from flows.answer import answer_query
from flows.ingest import ingest_stored
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tests.deployments.conftest import Shim
from tests.model_server import Act, ModelServer

PLANTED = {
    "email": "carmen.planted@canary.example",
    "card": "4111111111111111",
    "iban": "DE89370400440532013000",
    "phone": "+49 151 23456789",
    "key": "AKIAIOSFODNN7EXAMPLE",
}
DOCUMENT = (
    "Whoever brews tea at night writes to {email} or calls {phone} before the kettle boils.\n\n"
    "Tea is paid by card {card} or from the account {iban}; the kettle's key is {key}.\n"
).format(**PLANTED)
QUESTION = f"To whom does one write who brews tea at night? I am {PLANTED['email']}."
SPOKEN = "Whoever brews tea at night writes to <EMAIL_1> or calls <PHONE_1> [1]."
REPLY = f"[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\n{SPOKEN}\n\n[[ ## completed ## ]]"

BASE64 = re.compile(r"[A-Za-z0-9+/]{40,}")

Use = Callable[..., None]


def leaks(text: str) -> list[str]:
    return [name for name, value in PLANTED.items() if value in text]


async def kept_by_prefect(*signs: str) -> str:
    """Return all that Prefect's database and files hold, once every sign is among it; what is pickled is laid open."""
    url, home = PREFECT_SERVER_DATABASE_CONNECTION_URL.value(), Path(PREFECT_HOME.value())
    rows = ""
    async with asyncio.timeout(120):
        while not all(sign in rows for sign in signs):
            await asyncio.sleep(0.2)
            await APILogHandler.aflush()
            with closing(sqlite3.connect(make_url(str(url)).database or "")) as connection:
                rows = "\n".join(connection.iterdump())
    files = b"\n".join(path.read_bytes() for path in home.rglob("*") if path.is_file()).decode(errors="ignore")
    runs = BASE64.findall((rows + files).replace("\\n", ""))
    opened = [base64.b64decode(run[at : at + (len(run) - at) // 4 * 4]) for run in runs for at in range(4)]
    return rows + files + b"\n".join(opened).decode(errors="ignore")


async def test_what_is_planted_reaches_neither_the_model_nor_the_logs_and_comes_back_in_the_answer(
    shim: Shim, use: Use, model_server: ModelServer, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.INFO)
    use(model_server.target())
    model_server.default = Act(content=REPLY)
    record = {"_id": "night", "text": DOCUMENT}
    async with shim.client() as client:
        assert (await client.post("/api/v1/documents:batch", json={"documents": [record]})).json()["indexed"] == 1
        answer = (await client.post("/api/v1/query", json={"query": QUESTION})).json()
        async with client.stream("POST", "/api/v1/chat", json={"message": QUESTION + " Tell me."}) as response:
            told = (await response.aread()).decode()
    assert PLANTED["email"] in answer["answer"]
    said = [json.loads(line[6:]).get("text", "") for line in told.splitlines() if line.startswith("data: ")]
    assert PLANTED["email"] in "".join(said)
    asked = json.dumps(model_server.asked)
    assert "<EMAIL_1>" in asked
    assert leaks(asked) == []
    assert leaks("".join(capfd.readouterr()) + caplog.text) == []


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[None]:
    """Let Prefect keep what it keeps in a folder of this module's own."""
    home = tmp_path_factory.mktemp("prefect")
    kept = {PREFECT_HOME: home, PREFECT_LOCAL_STORAGE_PATH: home / "storage"}
    with temporary_settings(kept), prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
async def test_prefects_database_holds_nothing_of_it_whatever_the_model_replies(
    store: Any, tenant: UUID, use: Use, model_server: ModelServer, tmp_path: Path
) -> None:
    use(model_server.target())
    (tmp_path / "night.md").write_text(DOCUMENT)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "night.md")}], tenant)
    await ingest_stored(ingestion_id, tenant)
    signs: list[str] = []
    for reply in (REPLY, f"no form {PLANTED['email']}", "[[ ## found ## ]]\nmaybe <EMAIL_1>\n\n"):
        model_server.default = Act(content=reply)
        query_id = await receive_query(Inquiry(f"{QUESTION} {len(reply)}"), tenant)
        signs.append(str(query_id))
        await answer_query(query_id, tenant, return_state=True)  # pyright: ignore[reportGeneralTypeIssues]
        assert (await read_answer(query_id, tenant)).status in ("done", "failed")
    assert leaks(await kept_by_prefect(*signs)) == []


PLAIN = "violet zebras hum lullabies"  # nothing that masking would know


@contextmanager
def refusing(database_url: str, table: str) -> Generator[None]:
    """Let the database refuse every new row of a table; its message holds that row."""
    change = sql.SQL("alter table {} {} constraint refused")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(change.format(sql.Identifier(table), sql.SQL("add")) + sql.SQL(" check (false) not valid"))
        try:
            yield
        finally:
            owner.execute(change.format(sql.Identifier(table), sql.SQL("drop")))


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
async def test_a_row_that_the_database_refuses_reaches_neither_prefect_nor_logs_nor_metrics(
    store: Any, tenant: UUID, database_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "night.md").write_text(f"{DOCUMENT}\nAt night {PLAIN}.\n")
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "night.md")}], tenant)
    with refusing(database_url, "chunk"):
        await ingest_stored(ingestion_id, tenant, return_state=True)  # pyright: ignore[reportGeneralTypeIssues]
    again = await receive_ingestion([{"uri": str(tmp_path / "night.md")}], tenant)
    await ingest_stored(again, tenant)
    for asked, table in ((f"{QUESTION} Who hums? {PLAIN}", "answer"), (f"What hums? {PLAIN}", "event")):
        query_id = await receive_query(Inquiry(asked), tenant)
        with refusing(database_url, table):
            state = await answer_query(query_id, tenant, return_state=True)  # pyright: ignore[reportGeneralTypeIssues, reportUnknownVariableType]
        assert state.is_failed()
    held = await kept_by_prefect("23514", "table chunk", "table answer", "table event")
    told = "".join(capfd.readouterr()) + caplog.text
    assert "23514" in told
    for text in (held, told, generate_latest().decode()):
        assert (leaks(text), PLAIN in text) == ([], False)
