"""Move deployments to another work pool: the same flows, elsewhere."""

from collections.abc import Sequence
from typing import Any

from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

from deployments.catalogue import catalogue, load_flow
from deployments.pools import load_pool
from kowai.errors import InvalidInput
from kowai.settings import settings


async def scale_out(kind: str, names: Sequence[str], variables: dict[str, Any], pool: str | None = None) -> list[str]:
    """Make the work pool and let it run these deployments, all when none is named; return what was moved."""
    described, name = load_pool(kind), pool or kind
    async with get_client() as client:
        await _write_pool(client, name, described.type, described.template)
        return await _move(client, names, name, variables)


async def scale_back(names: Sequence[str]) -> list[str]:
    """Let this computer's own pool run these deployments again."""
    async with get_client() as client:
        return await _move(client, names, settings().work_pool, {})


async def _write_pool(client: PrefectClient, name: str, kind: str, template: dict[str, Any]) -> None:
    try:
        await client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template))
    except ObjectAlreadyExists:
        found = await client.read_work_pool(name)
        if found.type != kind:
            raise InvalidInput(f"The work pool '{name}' is of the type '{found.type}': choose another name.") from None
        await client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))


async def _move(client: PrefectClient, names: Sequence[str], pool: str, variables: dict[str, Any]) -> list[str]:
    known = {stanza["name"]: f"{load_flow(stanza['entrypoint']).name}/{stanza['name']}" for stanza in catalogue()}
    if unknown := [name for name in names if name not in known]:
        raise InvalidInput(f"There is no deployment '{unknown[0]}'; choose among {', '.join(known)}.")
    moved = list(names or known)
    for name in moved:
        try:
            deployment = await client.read_deployment_by_name(known[name])
        except ObjectNotFound:
            raise InvalidInput(f"The deployment '{name}' is not registered: start a worker once.") from None
        change = DeploymentUpdate(work_pool_name=pool, work_queue_name="default", job_variables=variables)
        await client.update_deployment(deployment.id, change)
    return moved
