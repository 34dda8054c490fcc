"""One code, several places: a call in process, a run of the warm pool and a container store the same rows."""

import os
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from prefect import Flow
from prefect.client.orchestration import PrefectClient
from sqlalchemy import make_url
from warm_pool import ROOT, Pool  # pyright: ignore[reportMissingImports]

from blocks.database import Database
from deployments.pools import load_pool
from flows.answer import answer_query
from flows.ingest import ingest_stored
from flows.run_personas import run_batch
from kowai.question_sets import read_rows
from kowai.settings import settings
from tasks.batches import Order, receive_batch
from tasks.question_sets import receive_question_set
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.step import traced

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here")]
IMAGE = os.environ.get("KOWAI_TEST_IMAGE", "kowai:test")
SECONDS = 240.0  # a container of a busy machine imports for a minute before its run begins
FILES = {
    "tea.md": "# Tea\n\nGreen tea is steeped for three minutes at 80 degrees. Black tea takes five minutes.\n",
    "coffee.txt": "Coffee is ground just before it is brewed. Water of 94 degrees runs through it.\n",
    "prices.csv": "drink,price\ntea,2.50\ncoffee,3.10\n",
    "broken.pdf": "%PDF-1.7 and nothing more",
}
QUESTIONS = ["How long is green tea steeped?", "How hot is the water for coffee?", "Who is the king?"]
# A confidence comes from products of float32, whose last digits depend on where a process keeps its arrays.
STORED = {
    "documents": """select external_id, title, media_type, content_type, language, version, content_hash
        from document where tenant_id = %s order by external_id""",
    "chunks": """select external_id, ordinal, start_char, end_char, page, heading_path, text, length
        from chunk join document on document.id = document_id
        where chunk.tenant_id = %s order by external_id, ordinal""",
    "vectors": """select external_id, ordinal, embedding::text from chunk_vector
        join chunk on chunk.id = chunk_id join document on document.id = document_id
        where chunk.tenant_id = %s order by external_id, ordinal""",
    "ends": "select external_id, state, cause from ingestion_item where tenant_id = %s order by external_id",
    "answers": """select query.text, persona, status, refusal, answer.text, abstained, model, fallback, cost, usage,
            jsonb_path_query_array(citations, '$[*].quote'), persona_version
        from query left join answer on query_id = query.id
        where query.tenant_id = %s order by query.text, persona, query.id""",
    "confidences": """select confidence from query left join answer on query_id = query.id
        where query.tenant_id = %s and confidence is not null order by query.text, persona, confidence""",
    "items": "select ordinal, persona, state, cause, attempts from batch_item where tenant_id = %s order by 1, 2",
}

Run = Callable[..., Awaitable[None]]


async def scenario(run: Run, tenant: UUID, folder: Path) -> None:
    """Ingest a few files, ask one question and carry out a small batch."""
    await run(ingest_stored, await receive_ingestion([{"uri": str(folder)}], tenant), tenant)
    await run(answer_query, await receive_query(Inquiry(QUESTIONS[0]), tenant), tenant)
    questions = await receive_question_set("a set", read_rows(QUESTIONS).questions, tenant)
    await run(run_batch, await receive_batch(Order(questions, ["assistant", "analyst"]), tenant), tenant)


async def in_process(flow: Flow[..., Any], subject: UUID, tenant: UUID) -> None:
    with traced():
        await flow.fn(subject, tenant)


def on(pool: Pool, **options: Any) -> Run:
    async def run(flow: Flow[..., Any], subject: UUID, tenant: UUID) -> None:
        first, second = flow.parameters.properties
        started = await pool.start(flow, {first: str(subject), second: str(tenant)}, **options)
        state = (await pool.final(started, SECONDS)).state
        assert state is not None
        assert state.is_completed(), f"{state.message}; {(pool.folder / 'worker.log').read_text()[-2000:]}"

    return run


def stored(url: str, tenant: UUID) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(url) as owner:
        return {name: owner.execute(statement, (tenant,)).fetchall() for name, statement in STORED.items()}


def assert_the_same(url: str, one: UUID, other: UUID) -> None:
    here, there = stored(url, one), stored(url, other)
    assert all(here.values()), "a comparison of nothing proves nothing"
    for name, rows in here.items():
        if name == "confidences":
            assert [each for (each,) in there[name]] == pytest.approx([each for (each,) in rows], abs=1e-6)
        else:
            assert there[name] == rows, name


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    for name, text in FILES.items():
        (place / name).write_text(text)
    return place


async def test_the_warm_pool_stores_row_by_row_what_a_call_in_process_stores(
    store: Database, tenant: UUID, other_tenant: UUID, database_url: str, folder: Path, pool: Pool
) -> None:
    await scenario(in_process, tenant, folder)
    pool.work(modules="flows")
    await scenario(on(pool), other_tenant, folder)
    assert_the_same(database_url, tenant, other_tenant)


def missing_engine() -> str:
    """Return why no container can run here; empty when one can."""
    lock = (ROOT / "requirements.lock").read_bytes()
    for command, said, reason in (
        (("docker", "info"), None, "no Docker engine answers"),
        (
            ("docker", "image", "inspect", IMAGE),
            None,
            f"there is no image {IMAGE}: build infra/Dockerfile by this name",
        ),
        (
            ("docker", "run", "--rm", IMAGE, "cat", "/app/requirements.lock"),
            lock,
            f"{IMAGE} is outdated: build it again",
        ),
    ):
        try:
            ended = subprocess.run(command, capture_output=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return reason
        if ended.returncode or said not in (None, ended.stdout):
            return reason
    return ""


@pytest.mark.docker
@pytest.mark.timeout(900)
async def test_containers_store_row_by_row_what_a_call_in_process_stores(
    store: Database,
    tenant: UUID,
    other_tenant: UUID,
    database_url: str,
    folder: Path,
    server: str,
    client: PrefectClient,
    tmp_path: Path,
) -> None:
    if reason := missing_engine():
        pytest.skip(reason)
    await scenario(in_process, tenant, folder)
    pool = await Pool(server, tmp_path).reached_by(client, "docker", load_pool("docker").template)
    pool.run_worker("-m", "prefect", "worker", "start", "--type", "docker", "--pool", pool.name)
    socket = make_url(database_url).query["host"]
    shared = {str(settings().state): "rw", str(folder): "ro", str(socket): "rw"}
    variables = {
        "image": IMAGE,
        "network_mode": "host",
        "container_create_kwargs": {"user": "0"},
        "volumes": [*(f"{path}:{path}:{mode}" for path, mode in shared.items()), f"{ROOT}:/app:ro"],
        "env": {name: os.environ[name] for name in ("KOWAI_APP_DATABASE_URL", "KOWAI_STATE")},
    }
    try:
        await scenario(on(pool, job_variables=variables), other_tenant, folder)
    finally:
        pool.close()
    assert_the_same(database_url, tenant, other_tenant)
