"""A dear batch waits in Prefect for somebody's approval, in a form that says what it would cost."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow_async
from prefect.states import Pending
from prefect.testing.utilities import prefect_test_harness

from blocks.database import Database
from deployments.bootstrap import deploy, make_pool
from deployments.catalogue import catalogue
from deployments.shim.errors import add_error_handlers
from deployments.shim.identity import Principal, authenticate
from deployments.shim.prefect_api import PrefectApi
from deployments.shim.routes import batches
from flows.run_personas import run_batch
from kowai.settings import settings
from tasks.costs import read_costs
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_run_personas import GOOD, batch_of
from tests.model_server import Act, ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
QUESTION = "How long is green tea steeped?"


@pytest.fixture(scope="module")
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
async def prefect(_prefect: None, store: Database) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        await make_pool(client, settings().work_pool)
        await deploy(client, next(stanza for stanza in catalogue() if stanza["name"] == "run-stored-batch"))
        yield client


@pytest.fixture
async def batch_id(tenant: UUID, tmp_path: Path, use: Callable[..., None], model_server: ModelServer) -> UUID:
    """Store a batch that could cost more than a cent."""
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target(price="10"))
    model_server.default = Act(content=GOOD)
    return await batch_of([QUESTION], ["assistant", "analyst"], tenant, approve_above=Decimal("0.01"))


async def scheduled(prefect: PrefectClient, batch_id: UUID, tenant: UUID) -> FlowRun:
    deployment = await prefect.read_deployment_by_name("run-personas/run-stored-batch")
    parameters = {"batch_id": str(batch_id), "tenant_id": str(tenant)}
    return await prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Pending())


async def carried_out(prefect: PrefectClient, run_id: UUID) -> FlowRun:
    """Do what a worker does with a run that is due."""
    run = await prefect.read_flow_run(run_id)
    if run.state and run.state.is_scheduled():
        await prefect.set_flow_run_state(run_id, Pending())
        run = await prefect.read_flow_run(run_id)
    with suppress(Pause):  # a worker's process ends here
        await run_flow_async(run_batch, flow_run=run, parameters=run.parameters, return_type="state")
    return await prefect.read_flow_run(run_id)


async def test_a_dear_batch_waits_and_begins_when_it_is_approved(
    prefect: PrefectClient, batch_id: UUID, tenant: UUID, database_url: str, model_server: ModelServer
) -> None:
    run = await carried_out(prefect, (await scheduled(prefect, batch_id, tenant)).id)
    assert run.state
    assert (run.state.name, model_server.asked) == ("Suspended", [])
    assert rows(database_url, "select status from batch") == [{"status": "waiting"}]
    keys = run.state.state_details.run_input_keyset
    assert keys
    description = await prefect.read_flow_run_input(run.id, keys["description"])
    assert "2 answers by local" in description
    refused = await prefect.resume_flow_run(run.id, run_input={"approve": "perhaps"})
    assert refused.status.value == "REJECT"
    await prefect.resume_flow_run(run.id, run_input={"approve": True, "decided_by": "Ada"})
    run = await carried_out(prefect, run.id)
    assert run.state
    assert run.state.is_completed()
    assert len(model_server.asked) == 2
    (batch,) = rows(database_url, "select * from batch")
    assert (batch["status"], batch["approved_by"], batch["flow_run_id"]) == ("done", "Ada", run.id)
    shares = {(share.by, share.name): share.calls for share in (await read_costs(tenant)).shares}
    assert shares["flow", "run-personas"] == 2
    artifacts = await prefect.read_artifacts()
    assert {"quote", "personas", "comparison"} <= {artifact.key for artifact in artifacts}
    assert not any(QUESTION in str(artifact.data) for artifact in artifacts)  # ids travel, text stays


@pytest.fixture
async def door(
    prefect: PrefectClient, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of the batches' routes that speaks to the same Prefect."""
    monkeypatch.setenv("PREFECT_API_URL", str(prefect.api_url).rstrip("/"))
    app = FastAPI()
    app.include_router(batches.router)
    add_error_handlers(app)
    app.state.prefect = PrefectApi()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), "operator", name="Ada")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kowai") as client:
        yield client
    await app.state.prefect.close()


async def test_a_batch_that_waits_is_approved_by_its_route(
    prefect: PrefectClient, door: httpx.AsyncClient, batch_id: UUID, tenant: UUID, model_server: ModelServer
) -> None:
    where, yes = f"/api/v1/batches/{batch_id}", {"approve": True}
    early = await door.post(f"{where}/decision", json=yes)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_waiting")
    run = await carried_out(prefect, (await scheduled(prefect, batch_id, tenant)).id)
    assert (await door.get(where)).json()["flow_run_id"] == str(run.id)
    assert (await door.post(f"{where}/decision", json=yes)).status_code == 202
    again = await door.post(f"{where}/decision", json=yes)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_waiting")
    assert (await door.post(f"/api/v1/batches/{uuid4()}/decision", json=yes)).status_code == 404
    await carried_out(prefect, run.id)
    ended = (await door.get(where)).json()
    assert (ended["status"], ended["approved_by"], len(model_server.asked)) == ("done", "Ada", 2)


async def test_a_batch_that_waits_is_rejected_by_its_route(
    prefect: PrefectClient, door: httpx.AsyncClient, batch_id: UUID, tenant: UUID, model_server: ModelServer
) -> None:
    run = await carried_out(prefect, (await scheduled(prefect, batch_id, tenant)).id)
    no = {"approve": False, "reason": "Too dear."}
    assert (await door.post(f"/api/v1/batches/{batch_id}/decision", json=no)).status_code == 202
    await carried_out(prefect, run.id)
    ended = (await door.get(f"/api/v1/batches/{batch_id}")).json()
    assert (ended["status"], ended["refused"], model_server.asked) == ("declined", 2, [])
    assert {item["sentence"] for item in ended["without_answer"]} == {"Too dear."}


async def test_a_batch_that_is_declined_ends_refused_with_the_reason(
    prefect: PrefectClient, batch_id: UUID, tenant: UUID, database_url: str, model_server: ModelServer
) -> None:
    run = await carried_out(prefect, (await scheduled(prefect, batch_id, tenant)).id)
    await prefect.resume_flow_run(run.id, run_input={"approve": False, "reason": "Too dear."})
    run = await carried_out(prefect, run.id)
    assert run.state
    assert (run.state.is_completed(), model_server.asked) == (True, [])
    assert rows(database_url, "select status from batch") == [{"status": "declined"}]
    assert rows(database_url, "select distinct state, cause, sentence from batch_item") == [
        {"state": "refused", "cause": "not_approved", "sentence": "Too dear."}
    ]
