"""One code, several places: every work pool's template is one that Prefect's worker understands."""

import re
from collections.abc import AsyncIterator
from typing import Any

import jsonschema
import pytest
import yaml
from prefect.client.orchestration import PrefectClient
from prefect.testing.utilities import prefect_test_harness
from prefect_docker.worker import DockerWorker, DockerWorkerJobConfiguration

from deployments import pools, scale
from deployments.bootstrap import deploy, make_pool
from deployments.catalogue import CATALOGUE, catalogue, load_flow
from deployments.warm.hosts import keep_to_one_host
from kowai.errors import CannotStart, InvalidInput
from kowai.settings import settings

INFRA = CATALOGUE.parent / "infra"


@pytest.mark.parametrize("kind", pools.kinds())
def test_a_template_is_of_its_types_own_schema(kind: str) -> None:
    found = pools.load_pool(kind)
    own = pools.default_template(found.type)
    assert found.template["job_configuration"] == own["job_configuration"]
    variables = found.template["variables"]
    jsonschema.Draft202012Validator.check_schema(variables)
    named = set(re.findall(r"\{\{ (\w+) \}\}", str(found.template["job_configuration"])))
    assert named <= set(variables["properties"])
    defaults = {name: value["default"] for name, value in variables["properties"].items() if "default" in value}
    jsonschema.validate(defaults, variables)


def test_the_docker_worker_takes_our_template_as_its_own() -> None:
    shipped = DockerWorker.get_default_base_job_template()["variables"]["properties"]
    assert set(pools.load_pool("docker").template["variables"]["properties"]) == set(shipped)


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="docker, kubernetes"):
        pools.load_pool("mesos")


@pytest.mark.parametrize("path", [INFRA / "compose.yaml", *(INFRA / "kubernetes").glob("*.yaml")], ids=lambda p: p.name)
def test_a_manifest_names_a_place_for_every_secret_and_holds_none(path: Any) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    assert all(documents)
    assert not re.search(r"(?i)(password|secret|auth_string): *[a-z0-9]", path.read_text())


@pytest.fixture(scope="module")
async def client() -> AsyncIterator[PrefectClient]:
    with prefect_test_harness(server_startup_timeout=120):
        from prefect.client.orchestration import get_client

        async with get_client() as client:
            yield client


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_named_deployments_move_with_image_and_variables_and_come_back(client: PrefectClient) -> None:
    stanzas = {stanza["name"]: stanza for stanza in catalogue()}
    await make_pool(client, settings().work_pool)
    for name in ("answer-query", "ask"):
        await deploy(client, stanzas[name])
    variables = {"image": "kowai:test", "env": {"KOWAI_STATE": "/state"}}
    assert await scale.scale_out("docker", ["answer-query"], variables) == ["answer-query"]

    async def pool_of(name: str) -> Any:
        flow = load_flow(stanzas[name]["entrypoint"])
        return await client.read_deployment_by_name(f"{flow.name}/{name}")

    moved, stayed = await pool_of("answer-query"), await pool_of("ask")
    assert (moved.work_pool_name, stayed.work_pool_name) == ("docker", settings().work_pool)
    assert moved.entrypoint == stanzas["answer-query"]["entrypoint"]
    pool = await client.read_work_pool("docker")
    made = await DockerWorkerJobConfiguration.from_template_and_values(
        pool.base_job_template, moved.job_variables, client=client
    )
    assert (made.image, made.env["KOWAI_STATE"], made.mem_limit) == ("kowai:test", "/state", "2g")
    await deploy(client, stanzas["answer-query"])
    assert (await pool_of("answer-query")).work_pool_name == "docker", "a restart leaves it where it was moved to"
    await scale.scale_back(["answer-query"])
    assert (await pool_of("answer-query")).work_pool_name == settings().work_pool
    with pytest.raises(InvalidInput, match="nothing"):
        await scale.scale_out("docker", ["nothing"], {})


async def test_a_worker_of_a_second_computer_is_refused_while_prefect_lives_in_sqlite(
    client: PrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await keep_to_one_host(embedded=False)  # somebody's own server, of which nothing is known
    await keep_to_one_host(embedded=True)
    await keep_to_one_host(embedded=False)
    monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
    with pytest.raises(CannotStart, match="only that computer may have a worker"):
        await keep_to_one_host(embedded=False)
