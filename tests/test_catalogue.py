"""Every plug-in and every entry of prefect.yaml is well formed; what was forgotten is named."""

from typing import Any

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from prefect import Flow

from deployments.catalogue import catalogue, load_flow
from deployments.shim.app import app
from deployments.shim.identity import Permission, anyone
from deployments.shim.openings import NOT_OFFERED, WORKFLOWS, Workflow
from kowai.loaders import Loader
from kowai.permissions import LEAST_ROLE
from kowai.personas import personas
from kowai.registry import discover

STANZAS = catalogue()
ROUTES = list(iter_route_contexts(app.routes))
FORMS = [stanza for stanza in STANZAS if "form" in stanza["tags"]]  # what people, not programs, start


@pytest.mark.parametrize("stanza", STANZAS, ids=lambda stanza: stanza["name"])
def test_every_deployment_names_a_described_async_flow(stanza: dict[str, Any]) -> None:
    flow = load_flow(stanza["entrypoint"])
    assert isinstance(flow, Flow)
    assert flow.isasync
    assert flow.description
    assert stanza["description"]
    assert stanza["tags"]


@pytest.mark.parametrize("stanza", FORMS, ids=lambda stanza: stanza["name"])
def test_the_form_of_every_deployment_explains_itself(stanza: dict[str, Any]) -> None:
    properties = load_flow(stanza["entrypoint"]).parameters.properties
    assert properties
    assert all(field.get("description") for field in properties.values())


@pytest.mark.parametrize("stanza", STANZAS, ids=lambda stanza: stanza["name"])
def test_every_schedule_has_a_time_zone(stanza: dict[str, Any]) -> None:
    assert all(schedule["cron"] and schedule["timezone"] for schedule in stanza.get("schedules", []))


@pytest.mark.parametrize("stanza", STANZAS, ids=lambda stanza: stanza["name"])
def test_every_deployment_is_offered_through_the_api_or_says_why_not(stanza: dict[str, Any]) -> None:
    assert (stanza["name"] in WORKFLOWS) != (stanza["name"] in NOT_OFFERED), "name it in deployments/shim/openings.py"


@pytest.mark.parametrize("workflow", WORKFLOWS.values(), ids=WORKFLOWS.keys())
def test_every_workflow_takes_a_known_permission_and_is_carried_out_by_a_deployment(workflow: Workflow) -> None:
    flow_name, _, name = workflow.carried_out_by.partition("/")
    (stanza,) = [stanza for stanza in STANZAS if stanza["name"] == name]
    assert load_flow(stanza["entrypoint"]).name == flow_name
    assert workflow.permission in LEAST_ROLE


def test_deployments_have_names_of_their_own() -> None:
    names = [stanza["name"] for stanza in STANZAS]
    assert len(set(names)) == len(names)


def test_every_persona_says_what_it_does_and_declines() -> None:
    for persona in personas().values():
        assert persona.summary
        assert persona.instructions
        assert persona.style
        assert persona.declines
        assert len(persona.examples) >= 3


def test_no_two_loaders_claim_the_same_suffix() -> None:
    suffixes = [suffix for loader in discover("kowai.loaders", Loader).values() for suffix in loader.suffixes]
    assert suffixes
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{sorted(route.methods or '')} {route.path}")
def test_every_route_declares_the_one_permission_it_takes(route: Any) -> None:
    declared = permissions(getattr(route, "dependant", Dependant()))
    assert len(declared) == 1, 'declare it: caller: Annotated[Principal, Depends(may("documents.read"))]'


def test_every_permission_opens_a_route() -> None:
    opened = [found for route in ROUTES for found in permissions(getattr(route, "dependant", Dependant()))]
    names = {one.name for one in opened if isinstance(one, Permission)}
    assert names | {"health.read"} == set(LEAST_ROLE)  # /health answers everybody, and who has it in full


def permissions(dependant: Dependant) -> list[object]:
    """Return what a route's dependencies ask of its caller; `anyone` asks for nothing, on purpose."""
    own = [dependant.call] if dependant.call is anyone or isinstance(dependant.call, Permission) else []
    return own + [found for inner in dependant.dependencies for found in permissions(inner)]
