"""What could be dear waits in Prefect for somebody's approval, in a form that says what it would cost."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
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
from deployments.shim.routes import approvals, batches
from flows.evaluate import evaluate, run_evaluation
from flows.optimise import run_optimisation
from flows.promote import run_promotion
from flows.run_personas import run_batch
from flows.run_team import run_stored_team
from kowai.settings import settings
from kowai.suites import Limits
from tasks.approvals import UNASKED, offered
from tasks.costs import read_costs
from tasks.decisions import NOT_APPROVED, UNDECIDED, decline_overdue
from tasks.evaluations import Trial, receive_evaluation
from tasks.optimise import Wish, receive_optimisation
from tasks.promote import receive_promotion
from tasks.quote_evaluation import quote_evaluations, quote_promotion
from tasks.quote_optimisation import quote_optimisation
from tasks.quote_team import quote_team
from tasks.teams import Assignment, receive_team
from tasks.versions import receive_version
from tests.flows.conftest import learn_tea, rows
from tests.flows.test_promote import suite_of
from tests.flows.test_run_personas import GOOD, batch_of
from tests.model_server import Act, ModelServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
QUESTION = "How long is green tea steeped?"
FILLED = "suspended-approval-response"
CENT = Decimal("0.01")
CARRIED_OUT: dict[str, tuple[str, Any]] = {
    "batch_id": ("run-personas/run-stored-batch", run_batch),
    "evaluation_id": ("evaluate/run-stored-evaluation", run_evaluation),
    "promotion_id": ("promote/run-stored-promotion", run_promotion),
    "optimisation_id": ("optimise/run-stored-optimisation", run_optimisation),
    "team_id": ("run-team/run-stored-team", run_stored_team),
    "suite": ("evaluate/evaluate-nightly", evaluate),
}


@pytest.fixture(scope="module")
def _prefect() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture
async def prefect(_prefect: None, store: Database) -> AsyncIterator[PrefectClient]:
    async with get_client() as client:
        await make_pool(client, settings().work_pool)
        for stanza in catalogue():
            if stanza["name"] in {name.partition("/")[2] for name, _ in CARRIED_OUT.values()}:
                await deploy(client, stanza)
        yield client


@pytest.fixture
async def tea(tenant: UUID, tmp_path: Path, use: Callable[..., None], model_server: ModelServer) -> UUID:
    """Learn a document, and have a model that costs more than a cent."""
    await learn_tea(tenant, tmp_path / "documents")
    use(model_server.target(price="10"))
    model_server.default = Act(content=GOOD)
    return tenant


@pytest.fixture
async def batch_id(tea: UUID) -> UUID:
    return await batch_of([QUESTION], ["assistant", "analyst"], tea, above=CENT)


async def scheduled(prefect: PrefectClient, tenant: UUID, **subject: UUID) -> FlowRun:
    ((parameter, subject_id),) = subject.items()
    deployment = await prefect.read_deployment_by_name(CARRIED_OUT[parameter][0])
    parameters = {parameter: str(subject_id), "tenant_id": str(tenant)}
    return await prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Pending())


async def carried_out(prefect: PrefectClient, run_id: UUID) -> FlowRun:
    """Do what a worker does with a run that is due."""
    run = await prefect.read_flow_run(run_id)
    if run.state and run.state.is_scheduled():
        await prefect.set_flow_run_state(run_id, Pending())
        run = await prefect.read_flow_run(run_id)
    flow = next(flow for name, (_, flow) in CARRIED_OUT.items() if name in run.parameters)
    with suppress(Pause):  # a worker's process ends here
        await run_flow_async(flow, flow_run=run, parameters=run.parameters, return_type="state")
    return await prefect.read_flow_run(run_id)


async def waiting(prefect: PrefectClient, tenant: UUID, **subject: UUID) -> UUID:
    run = await carried_out(prefect, (await scheduled(prefect, tenant, **subject)).id)
    assert run.state
    assert run.state.name == "Suspended"
    return run.id


async def test_a_dear_batch_waits_and_begins_when_it_is_approved(
    prefect: PrefectClient, batch_id: UUID, tenant: UUID, database_url: str, model_server: ModelServer
) -> None:
    run = await carried_out(prefect, (await scheduled(prefect, tenant, batch_id=batch_id)).id)
    assert run.state
    assert (run.state.name, model_server.asked) == ("Suspended", [])
    assert rows(database_url, "select state from approval") == [{"state": "waiting"}]
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
    (batch,) = rows(database_url, "select b.*, a.state, a.decided_by from batch b join approval a using (id)")
    assert (batch["status"], batch["state"], batch["decided_by"]) == ("done", "approved", "Ada")
    assert batch["flow_run_id"] == run.id
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
    for router in (batches.router, approvals.router):
        app.include_router(router)
    add_error_handlers(app)
    app.state.prefect = PrefectApi()
    app.dependency_overrides[authenticate] = lambda: Principal(tenant, uuid4(), "operator", name="Ada")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://kowai") as client:
        yield client
    await app.state.prefect.close()


async def test_what_waits_is_listed_and_approved_by_its_route(
    prefect: PrefectClient, door: httpx.AsyncClient, batch_id: UUID, tenant: UUID, model_server: ModelServer
) -> None:
    where, yes = f"/api/v1/approvals/{batch_id}/decision", {"approve": True}
    early = await door.post(where, json=yes)
    assert (early.status_code, early.json()["error"]["code"]) == (409, "not_waiting")
    run_id = await waiting(prefect, tenant, batch_id=batch_id)
    (listed,) = (await door.get("/api/v1/approvals?state=waiting")).json()
    assert (listed["id"], listed["workflow"], listed["flow_run_id"]) == (str(batch_id), "run-personas", str(run_id))
    assert (await door.get(f"/api/v1/batches/{batch_id}")).json()["status"] == "waiting"
    assert (await door.post(where, json=yes)).status_code == 202
    again = await door.post(where, json=yes)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "not_waiting")
    assert (await door.post(f"/api/v1/approvals/{uuid4()}/decision", json=yes)).status_code == 404
    assert json.loads(await prefect.read_flow_run_input(run_id, FILLED)) == yes
    await carried_out(prefect, run_id)
    ended = (await door.get(f"/api/v1/batches/{batch_id}")).json()
    assert (ended["status"], ended["approval"]["decided_by"], len(model_server.asked)) == ("done", "Ada", 2)


async def test_what_people_write_about_a_decision_stays_with_the_tenant(
    prefect: PrefectClient, door: httpx.AsyncClient, batch_id: UUID, tenant: UUID, database_url: str
) -> None:
    run_id = await waiting(prefect, tenant, batch_id=batch_id)
    no = {"approve": False, "reason": "Bob has no money."}
    where = f"/api/v1/approvals/{batch_id}/decision"
    assert (await door.post(where, json=no)).status_code == 202
    assert json.loads(await prefect.read_flow_run_input(run_id, FILLED)) == {"approve": False}
    assert (await door.post(where, json={"approve": True})).status_code == 409
    run = await carried_out(prefect, run_id)
    assert run.state
    assert (run.state.name, run.state.message) == ("Declined", NOT_APPROVED)
    (kept,) = rows(database_url, "select state, decided_by, reason from approval")
    assert kept == {"state": "declined", "decided_by": "Ada", "reason": "Bob has no money."}
    assert rows(database_url, "select distinct sentence from batch_item") == [{"sentence": "Bob has no money."}]


async def test_a_decision_that_prefect_did_not_hear_is_not_noted(
    prefect: PrefectClient, door: httpx.AsyncClient, batch_id: UUID, tenant: UUID, database_url: str
) -> None:
    run_id = await waiting(prefect, tenant, batch_id=batch_id)
    await prefect.set_flow_run_state(run_id, Pending(), force=True)
    assert (await door.post(f"/api/v1/approvals/{batch_id}/decision", json={"approve": True})).status_code == 409
    assert rows(database_url, "select state, decided_by from approval") == [{"state": "waiting", "decided_by": None}]


async def stored_as(parameter: str, tenant: UUID) -> UUID:
    """Store what is named by this parameter, with a quote above a cent."""
    if parameter == "batch_id":
        return await batch_of([QUESTION], ["assistant", "analyst"], tenant, above=CENT)
    suite_id = await suite_of(12, tenant)
    if parameter == "evaluation_id":
        trial = Trial(suite_id)
        along = offered("evaluate", (await quote_evaluations([trial], tenant)).above(CENT))
        return await receive_evaluation(trial, tenant, along=along)
    if parameter == "promotion_id":
        version_id = await receive_version("retrieval", {"passages": 7}, tenant)
        along = offered("promote", (await quote_promotion(version_id, suite_id, tenant)).above(CENT))
        return await receive_promotion(version_id, suite_id, tenant, along=along)
    if parameter == "optimisation_id":
        wish = Wish("assistant", suite_id, "bootstrap", Limits(dollars=Decimal(1)))
        along = offered("optimise", (await quote_optimisation(wish, tenant)).above(CENT))
        return await receive_optimisation(wish, tenant, along=along)
    assignment = Assignment(QUESTION, {"steps": [{"id": "facts", "persona": "analyst"}]})
    return await receive_team(
        assignment, tenant, along=offered("run-team", (await quote_team(assignment, tenant)).above(CENT))
    )


ENDED = {
    "batch_id": "select status, null as sentence from batch where id = '{}'",
    "evaluation_id": "select b.status, null as sentence from evaluation e join batch b using (id) "
    "where id = '{}' and e.finished_at is not null and e.outcome is null",
    "promotion_id": "select outcome as status, sentence from promotion where id = '{}'",
    "optimisation_id": "select outcome as status, sentence from optimisation where id = '{}'",
    "team_id": "select t.status, s.sentence from team t join team_step s on s.team_id = t.id and s.state = 'skipped' "
    "where t.id = '{}' and t.cause = 'not_approved'",
}


@pytest.mark.parametrize("parameter", ENDED)
async def test_what_is_declined_ends_refused_with_the_reason_and_costs_nothing(
    prefect: PrefectClient, tea: UUID, database_url: str, model_server: ModelServer, parameter: str
) -> None:
    subject_id = await stored_as(parameter, tea)
    run_id = await waiting(prefect, tea, **{parameter: subject_id})
    await prefect.resume_flow_run(run_id, run_input={"approve": False, "reason": "Too dear."})
    run = await carried_out(prefect, run_id)
    assert run.state
    assert (run.state.type.value, run.state.name, run.state.message) == ("COMPLETED", "Declined", NOT_APPROVED)
    assert await prefect.filter_flow_run_input(run_id, FILLED, 1, set()) == []
    (ended,) = rows(database_url, ENDED[parameter].format(subject_id))
    assert ended["status"] == ("declined" if parameter in ("batch_id", "evaluation_id") else "refused")
    assert ended["sentence"] in (None, "Too dear.")
    items = rows(database_url, "select distinct state, cause, sentence from batch_item")
    assert items in ([], [{"state": "refused", "cause": "not_approved", "sentence": "Too dear."}])
    assert model_server.asked == []


async def test_an_approval_that_nobody_gives_ends_by_itself(
    prefect: PrefectClient, tea: UUID, database_url: str, model_server: ModelServer
) -> None:
    run_id = await waiting(prefect, tea, team_id=await stored_as("team_id", tea))
    assert await decline_overdue(tea) == 0
    with psycopg.connect(database_url) as owner:
        owner.execute("update approval set waits_since = now() - interval '1 day'")
    assert await decline_overdue(tea) == 1
    assert rows(database_url, "select status, sentence from team") == [{"status": "refused", "sentence": UNDECIDED}]
    run = await carried_out(prefect, run_id)
    assert run.state
    assert (run.state.name, run.state.message, model_server.asked) == ("Declined", UNDECIDED, [])


async def test_an_evaluation_that_was_approved_asks_what_was_quoted_and_not_what_is_newest_by_then(
    prefect: PrefectClient, tea: UUID, database_url: str
) -> None:
    await suite_of(2, tea)
    (owner,) = rows(database_url, f"select name from tenant where id = '{tea}'")
    parameters = {"tenant": owner["name"], "approve_above": "0.001", "judged": False}
    deployment = await prefect.read_deployment_by_name("evaluate/evaluate-nightly")
    run = await prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Pending())
    run = await carried_out(prefect, run.id)
    assert run.state
    assert run.state.name == "Suspended"
    await suite_of(9, tea)
    await prefect.resume_flow_run(run.id, run_input={"approve": True})
    run = await carried_out(prefect, run.id)
    assert run.state
    assert run.state.is_completed()
    assert rows(database_url, "select accepted, status from batch") == [{"accepted": 2, "status": "done"}]


async def test_what_stays_below_the_threshold_waits_for_nobody(
    prefect: PrefectClient, tea: UUID, database_url: str
) -> None:
    await suite_of(2, tea)
    (owner,) = rows(database_url, f"select name from tenant where id = '{tea}'")
    deployment = await prefect.read_deployment_by_name("evaluate/evaluate-nightly")
    parameters = {"tenant": owner["name"], "judged": False}
    run = await prefect.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Pending())
    run = await carried_out(prefect, run.id)
    assert run.state
    assert run.state.is_completed()
    assert rows(database_url, "select state, decided_by from approval") == [
        {"state": "approved", "decided_by": UNASKED}
    ]
