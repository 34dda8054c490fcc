"""Runs that have stopped beating, such as frozen ones: Prefect crashes them, the worker ends what is left of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import anyio
from prefect.automations import AutomationCore
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.states import AwaitingRetry

from deployments.warm.nursery import logger
from deployments.warm.zombies import MOST_STARTS, REPEATABLE

if TYPE_CHECKING:
    from deployments.warm.starter import ForkStarter

NAME = "Crash runs that have stopped beating"
BEAT = "prefect.flow-run.heartbeat"
ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "AwaitingRetry")}
SILENT_SECONDS = 600  # more than three of the beats that Prefect's engine gives, of 180 seconds each
LINGER_SECONDS = 60
END_SECONDS = 5.0
SAID = "It has stopped beating."


async def watch_heartbeats(client: PrefectClient, *, silent_seconds: int = SILENT_SECONDS) -> None:
    """Make the automation that crashes silent runs, once; what an operator has changed since is left as it is."""
    if await client.read_automations_by_name(NAME):
        return
    trigger = EventTrigger(
        after={BEAT},
        expect={BEAT, *ENDS},
        match={"prefect.resource.id": "prefect.flow-run.*"},  # pyright: ignore[reportArgumentType]
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        threshold=1,
        within=timedelta(seconds=silent_seconds),
    )
    crash = ChangeFlowRunState(name=None, state=StateType.CRASHED, message=SAID, force=False)
    await client.create_automation(AutomationCore(name=NAME, trigger=trigger, actions=[crash]))


async def end_outlived(
    client: PrefectClient, running: Mapping[UUID, ForkStarter | None], end: Callable[[UUID], Awaitable[None]]
) -> None:
    """End the processes of runs that have ended without them; a silent run that is safe to repeat is due again."""
    for run_id, starter in tuple(running.items()):
        run = await client.read_flow_run(run_id)
        if starter is None or starter.ended.is_set() or not (silent(run) or outlived(run)):
            continue
        logger().warning("The process of flow run %s has outlived it and is ended.", run_id)
        starter.forgiven = True
        await end(run_id)
        with anyio.move_on_after(END_SECONDS):
            await starter.ended.wait()
        if silent(run) and REPEATABLE in run.tags and run.run_count < MOST_STARTS:
            again = AwaitingRetry(message="It had stopped beating, and it is safe to repeat.")
            await client.set_flow_run_state(run_id, again, force=True)


def silent(run: FlowRun) -> bool:
    return run.state is not None and run.state.is_crashed() and run.state.message == SAID


def outlived(run: FlowRun) -> bool:
    """Return whether the run ended so long ago that its process cannot be on its way out."""
    if run.state is None or not run.state.is_final():
        return False
    return datetime.now(UTC) - run.state.timestamp > timedelta(seconds=LINGER_SECONDS)
