"""What a process and its libraries log: JSON, a line an event, with the request it belongs to and no personal data."""

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import structlog

from kowai.correlation import request_id, tagged
from kowai.masking import Masking
from kowai.settings import settings

OURS = frozenset(
    {"event", "level", "timestamp", "request_id", "code", "method", "route", "step"}
)  # never said by a user

RUNS = ("flow_run_id", "task_run_id")  # what Prefect knows of where a line comes from
AS_JSON = structlog.processors.JSONRenderer(ensure_ascii=False)

Event = MutableMapping[str, Any]


def configure() -> None:
    """Log from now on as KOWAI_LOG_FORMAT says; tracebacks hold no local variables, which may hold a tenant's text."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    last = [structlog.processors.format_exc_info, _masked, AS_JSON]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _correlated,
            *(last if settings().log_format == "json" else [_masked, plain]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )


def _correlated(_logger: Any, _method: str, event: Event) -> Event:
    identity = request_id() or _of_run()
    return {**event, "request_id": identity} if identity else event


def _of_run() -> str | None:
    """Return the request that a flow run's tags name, also for Prefect's own lines; None before Prefect is there."""
    context: Any = getattr(sys.modules.get("prefect.context"), "FlowRunContext", None)
    run = context and context.get()
    return tagged(run.flow_run.tags) if run and run.flow_run else None


def _masked(_logger: Any, _method: str, event: Event) -> Event:
    """Mask what another system or an exception may have repeated of a user's words."""
    masking = Masking()
    return {name: masking.mask(value) if _may_tell(name, value) else value for name, value in event.items()}


def _may_tell(name: str, value: Any) -> bool:
    return name not in OURS and isinstance(value, str)


class Lines(logging.Formatter):
    """Write what a library logs, such as uvicorn and Prefect, as we write our own; what it says is masked too.

    Prefect's logging, which covers uvicorn's, takes it by the name of its class: deployments/local/environment.py.
    """

    def __init__(self, *_: object) -> None:
        super().__init__()  # given a format that is no format

    def format(self, record: logging.LogRecord) -> str:
        event: Event = {
            "event": Masking().mask(record.getMessage()),
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "logger": record.name,
            **{name: str(value) for name in RUNS if (value := getattr(record, name, None))},
        }
        if record.exc_info:
            event["exc_info"] = record.exc_info
        told = structlog.processors.format_exc_info(None, record.levelname, _correlated(None, "", event))
        return str(AS_JSON(None, "", _masked(None, "", told)))
