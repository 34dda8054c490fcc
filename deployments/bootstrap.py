"""Tell Prefect what there is: blocks, the work pool and every deployment of prefect.yaml; safe to repeat."""

import json
import os
from hashlib import sha256
from typing import Any

from prefect.blocks.core import Block
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.workers.process import ProcessWorker

from blocks.appwrite import Appwrite
from blocks.appwrite_bucket import AppwriteBucket
from blocks.bucket import Bucket
from blocks.connections import NAME
from blocks.database import Database
from blocks.discovery import find_targets
from blocks.embedder import PRESETS, Embedder
from blocks.language_model import LanguageModel
from blocks.policy import Policy
from deployments.catalogue import catalogue, load_flow
from deployments.warm.silence import watch_heartbeats
from kowai.settings import settings

RUNS_AT_ONCE = 4


async def bootstrap() -> None:
    """Register everything; what an operator has changed in the UI since is left as it is."""
    await save_blocks()
    async with get_client() as client:
        await make_pool(client, settings().work_pool)
        await watch_heartbeats(client)
        for stanza in catalogue():
            await deploy(client, stanza)


async def save_blocks() -> None:
    """Register every block type; save a first block of each, and the database's again, for its address may move."""
    url = settings().app_database_url
    for name, block in {NAME: Embedder(), **PRESETS}.items():
        await _save(block, overwrite=False, name=name)
    await _save(LanguageModel(targets=await find_targets(os.environ)), overwrite=await _has_no_models())
    await _save(Policy(), overwrite=False)
    await _save(Bucket(folder=settings().bucket), overwrite=False)
    for kind in (Appwrite, AppwriteBucket):  # who has a project of Appwrite fills in blocks of these types
        await kind.aregister_type_and_schema()
    if url is not None:
        await _save(Database(url=url), overwrite=True)


async def _has_no_models() -> bool:
    """Tell whether the saved block still waits for a first model, so that one found at this start may be put in."""
    try:
        return not (await LanguageModel.aload(NAME)).targets
    except ValueError:
        return True


async def _save(block: Block, *, overwrite: bool, name: str = NAME) -> None:
    await block.aregister_type_and_schema()
    try:
        await block.asave(name, overwrite=overwrite)
    except ValueError as error:  # Prefect's word for a block of that name that is there already
        if "already in use" not in str(error):
            raise


async def make_pool(client: PrefectClient, name: str) -> None:
    template = ProcessWorker.get_default_base_job_template()
    pool = WorkPoolCreate(name=name, type="process", base_job_template=template, concurrency_limit=RUNS_AT_ONCE)
    try:
        await client.create_work_pool(pool)
    except ObjectAlreadyExists:
        return


async def deploy(client: PrefectClient, stanza: dict[str, Any]) -> None:
    """Create or update one deployment, unless this very stanza is deployed already."""
    flow = load_flow(stanza["entrypoint"])
    schema = flow.parameters.model_dump()
    digest = sha256(json.dumps([stanza, schema], sort_keys=True).encode()).hexdigest()[:16]
    try:
        if (await client.read_deployment_by_name(f"{flow.name}/{stanza['name']}")).version == digest:
            return
    except ObjectNotFound:
        pass
    await client.create_deployment(
        flow_id=await client.create_flow(flow),
        name=stanza["name"],
        version=digest,
        entrypoint=stanza["entrypoint"],
        description=stanza["description"],
        tags=stanza["tags"],
        parameters=stanza.get("parameters", {}),
        parameter_openapi_schema=schema,
        enforce_parameter_schema=True,
        work_pool_name=settings().work_pool,
        work_queue_name=stanza["work_pool"]["work_queue_name"],
        schedules=[_schedule(schedule) for schedule in stanza.get("schedules", [])],
        pull_steps=[],
        **_limit(stanza.get("concurrency_limit")),
    )


def _schedule(schedule: dict[str, Any]) -> DeploymentScheduleCreate:
    cron = CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    return DeploymentScheduleCreate(schedule=cron, active=schedule["active"])


def _limit(config: dict[str, Any] | None) -> dict[str, Any]:
    if config is None:
        return {}
    limit = ConcurrencyLimitConfig.model_validate(config)
    options = ConcurrencyOptions(collision_strategy=limit.collision_strategy) if limit.collision_strategy else None
    return {"concurrency_limit": limit.limit, "concurrency_options": options}
