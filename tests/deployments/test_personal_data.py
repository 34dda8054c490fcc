"""Personal data that somebody plants in documents and questions reaches no provider, no log and no Prefect."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.settings import PREFECT_HOME
from prefect.testing.utilities import prefect_test_harness

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

Use = Callable[..., None]


def leaks(text: str) -> list[str]:
    return [name for name, value in PLANTED.items() if value in text]


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


@pytest.mark.slow
async def test_prefects_database_holds_nothing_of_it_whatever_the_model_replies(
    store: Any, tenant: UUID, use: Use, model_server: ModelServer, tmp_path: Path
) -> None:
    use(model_server.target())
    (tmp_path / "night.md").write_text(DOCUMENT)
    with prefect_test_harness(server_startup_timeout=180):
        home = PREFECT_HOME.value()
        ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "night.md")}], tenant)
        await ingest_stored(ingestion_id, tenant)
        for reply in (REPLY, f"no form {PLANTED['email']}", "[[ ## found ## ]]\nmaybe <EMAIL_1>\n\n"):
            model_server.default = Act(content=reply)
            query_id = await receive_query(Inquiry(f"{QUESTION} {len(reply)}"), tenant)
            await answer_query(query_id, tenant, return_state=True)
            assert (await read_answer(query_id, tenant)).status in ("done", "failed")
    held = b"".join(path.read_bytes() for path in Path(home).rglob("*") if path.is_file())
    assert leaks(held.decode(errors="ignore")) == []
