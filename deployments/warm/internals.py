"""Every private name of Prefect that the warm worker leans on, and the check that they are still there."""
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import random
import ssl
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    import anyio.abc
    from prefect.client.schemas.objects import FlowRun, State
    from prefect.runner._control_channel import ControlChannel
    from prefect.runner._flow_run_executor import FlowRunExecutor, FlowRunExecutorContext, ProcessStarter
    from prefect.runner._hook_runner import FlowRunHookRunner
    from prefect.runner._process_manager import ProcessHandle
    from prefect.workers.process import ProcessWorker

    Started = anyio.abc.TaskStatus[ProcessHandle]

BUSY = 503
WAIT_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5)  # after these come Prefect's own, of two seconds and more
CONTRACT: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("prefect.client.base", "PrefectHttpxAsyncClient._send_with_retry", ("self", "request", "send")),
    ("prefect.client.base", "PrefectHttpxSyncClient._send_with_retry", ("self", "request", "send")),
    ("prefect.client.orchestration", "ssl.create_default_context", ("cafile",)),
    ("prefect.context", "refresh_global_settings_context", ()),
    ("prefect.flow_engine", "_main", ("argv",)),
    ("prefect.logging.configuration", "setup_logging", ()),
    ("prefect.runner._control_channel", "ControlChannel.register", ("self", "flow_run_id")),
    ("prefect.runner._control_channel", "ControlChannel.signal", ("self", "flow_run_id", "intent")),
    ("prefect.runner._control_channel", "ControlChannel.unregister", ("self", "flow_run_id")),
    ("prefect.runner._control_channel", "ControlSignalStatus.ACKNOWLEDGED", ()),
    ("prefect.runner._control_channel", "ControlSignalStatus.ALREADY_CONCLUDED", ()),
    (
        "prefect.runner._flow_run_executor",
        "FlowRunExecutorContext.create_executor",
        ("self", "flow_run", "starter", "propose_submitting", "hook_runner"),
    ),
    ("prefect.runner._flow_run_executor", "FlowRunExecutor.submit", ("self", "task_status")),
    ("prefect.runner._cancellation_manager", "CancellationManager.cancel_by_id", ("self", "flow_run_id")),
    ("prefect.runner._hook_runner", "HookRunner.run_cancellation_hooks", ("self", "flow_run", "state")),
    ("prefect.runner._hook_runner", "HookRunner.run_crashed_hooks", ("self", "flow_run", "state")),
    ("prefect.runner._process_manager", "ProcessHandle", ("_process", "termination_scope")),
    ("prefect.runner._process_manager", "ProcessManager.kill", ("self", "flow_run_id", "grace_seconds", "force")),
    ("prefect.runner._process_manager", "create_isolated_termination_scope", ("pid",)),
    ("prefect.utilities.processutils", "sanitize_subprocess_env", ("env",)),
    ("prefect.workers.process", "ProcessJobConfiguration.prepare_for_flow_run", ("flow_run", "deployment")),
    ("prefect.workers.process", "ProcessWorker.run", ("self", "flow_run", "configuration", "task_status")),
    ("prefect.workers.process", "ProcessWorker.__aenter__", ("self",)),
    ("prefect.workers.base", "BaseWorker.get_and_submit_flow_runs", ("self",)),
    ("prefect.workers.base", "BaseWorker._get_scheduled_flow_runs", ("self",)),
    ("prefect.workers.base", "BaseWorker._release_limit_slot", ("self", "flow_run_id")),
    ("prefect.workers.base", "BaseWorker._submit_run", ("self", "flow_run")),
)


def moved() -> list[str]:
    """Return the names that this Prefect no longer has, or no longer calls as we do."""
    return [f"{module}.{name}" for module, name, parameters in CONTRACT if not _kept(module, name, parameters)]


def _kept(module: str, name: str, parameters: tuple[str, ...]) -> bool:
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return not parameters or set(parameters) <= set(inspect.signature(found).parameters)
    except (ImportError, AttributeError, TypeError, ValueError):
        return False


async def enter_executor_context() -> FlowRunExecutorContext:
    """Enter what all runs of a worker share; a cancellation that fails must not end the others."""
    from prefect.logging import get_logger
    from prefect.runner._flow_run_executor import FlowRunExecutorContext

    context = await FlowRunExecutorContext().__aenter__()
    cancel = context._cancellation_manager.cancel_by_id

    async def cancel_by_id(flow_run_id: UUID) -> None:
        try:
            await cancel(flow_run_id)
        except Exception:
            get_logger("kowai.warm").exception("Flow run %s could not be cancelled.", flow_run_id)

    context._cancellation_manager.cancel_by_id = cancel_by_id
    return context


def submitting(worker: ProcessWorker) -> set[UUID]:
    """Return the runs that the worker has taken and not started yet."""
    return worker._submitting_flow_run_ids


def give_back(worker: ProcessWorker, run_id: UUID) -> None:
    """Let go of a run that did not start, and of the slot that was kept for it."""
    worker._submitting_flow_run_ids.discard(run_id)
    worker._release_limit_slot(run_id)


def executor(
    context: FlowRunExecutorContext, run: FlowRun, starter: ProcessStarter, hooks: FlowRunHookRunner
) -> FlowRunExecutor:
    return context.create_executor(run, starter, hook_runner=hooks, propose_submitting=False)


def process_handle(process: Any) -> ProcessHandle:
    """Wrap a process that leads a process group of its own."""
    from prefect.runner._process_manager import ProcessHandle, create_isolated_termination_scope

    return ProcessHandle(process, termination_scope=create_isolated_termination_scope(process.pid))


def clean_environment(environment: dict[str, str | None]) -> dict[str, str]:
    from prefect.utilities.processutils import sanitize_subprocess_env

    return sanitize_subprocess_env(environment)


def control_environment(channel: ControlChannel, run_id: UUID) -> dict[str, str]:
    """Register a run for cancellation; empty when the channel could not bind, which leaves the plain kill."""
    try:
        port, token = channel.register(run_id)
    except RuntimeError:
        return {}
    return {"PREFECT__CONTROL_PORT": str(port), "PREFECT__CONTROL_TOKEN": token}


async def stop_run(context: FlowRunExecutorContext, run_id: UUID, *, silently: bool) -> bool:
    """End a run's process; silently: the engine proposes no state. False when the run had concluded already."""
    from prefect.runner._control_channel import ControlSignalStatus

    acknowledged = False
    if silently:
        status = await context.control_channel.signal(run_id, "reschedule")
        if status is ControlSignalStatus.ALREADY_CONCLUDED:
            return False
        acknowledged = status is ControlSignalStatus.ACKNOWLEDGED
    await context.process_manager.kill(run_id, grace_seconds=3, force=silently and not acknowledged)
    return True


async def end_process(context: FlowRunExecutorContext, run_id: UUID) -> None:
    """End a run's process without asking it."""
    await context.process_manager.kill(run_id, force=True)


def refresh_settings() -> None:
    """Build Prefect's settings and logging anew from the environment."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    refresh_global_settings_context()
    setup_logging(incremental=False)


def retry_soon() -> None:
    """Ask again soon when the API's SQLite was locked for a moment: Prefect's clients sleep two seconds and more."""
    from prefect.client.base import PrefectHttpxAsyncClient, PrefectHttpxSyncClient

    for client in (PrefectHttpxAsyncClient, PrefectHttpxSyncClient):
        inner: Any = vars(client)["_send_with_retry"]
        if inner.__module__ != __name__:
            client._send_with_retry = (_patient_async if client is PrefectHttpxAsyncClient else _patient)(inner)


def _patient_async(inner: Any) -> Any:
    async def send_with_retry(self: Any, request: Any, send: Any, *args: Any, **options: Any) -> Any:
        async def patient(*sent: Any, **how: Any) -> Any:
            for wait in WAIT_SECONDS:
                response = await send(*sent, **how)
                if not _locked(response):
                    return response
                await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311
            return await send(*sent, **how)

        return await inner(self, request, patient, *args, **options)

    return send_with_retry


def _patient(inner: Any) -> Any:
    def send_with_retry(self: Any, request: Any, send: Any, *args: Any, **options: Any) -> Any:
        def patient(*sent: Any, **how: Any) -> Any:
            for wait in WAIT_SECONDS:
                response = send(*sent, **how)
                if not _locked(response):
                    return response
                time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311
            return send(*sent, **how)

        return inner(self, request, patient, *args, **options)

    return send_with_retry


def _locked(response: Any) -> bool:
    hints = ("Retry-After", "Prefect-Maintenance")
    return response.status_code == BUSY and not any(hint in response.headers for hint in hints)


def share_tls_context() -> None:
    """Read the certificates once, before the fork: each of a run's clients would take 40 ms of CPU to do so."""
    import certifi
    from prefect.client import orchestration
    from prefect.settings import get_current_settings

    create = functools.cache(ssl.create_default_context)
    shared: Any = SimpleNamespace(create_default_context=create, SSLContext=ssl.SSLContext, CERT_NONE=ssl.CERT_NONE)
    orchestration.ssl = shared  # pyright: ignore[reportAttributeAccessIssue, reportPrivateImportUsage]
    create(cafile=get_current_settings().api.ssl_cert_file or certifi.where())


def run_engine(entrypoint: str) -> int:
    """Run the flow run that the environment names; return the exit code."""
    import prefect.flow_engine

    return prefect.flow_engine._main([entrypoint])


def run_hooks(entrypoint: str, kind: str, run: FlowRun, state: State[Any]) -> None:
    from prefect.flows import Flow, load_flow_from_entrypoint
    from prefect.runner._hook_runner import HookRunner

    async def resolve(_: FlowRun) -> Flow[..., Any]:
        return load_flow_from_entrypoint(entrypoint, use_placeholder_flow=False)

    hooks = HookRunner(resolve_flow=resolve)
    call: Callable[..., Any] = hooks.run_crashed_hooks if kind == "crashed" else hooks.run_cancellation_hooks
    asyncio.run(call(run, state))
