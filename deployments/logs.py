"""What a process logs: JSON, a line an event, with the request it belongs to and no personal data."""

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from kowai.correlation import request_id
from kowai.masking import Masking
from kowai.settings import settings

OURS = frozenset(
    {"event", "level", "timestamp", "request_id", "code", "method", "route", "step"}
)  # never said by a user

Event = MutableMapping[str, Any]


def configure() -> None:
    """Log from now on as KOWAI_LOG_FORMAT says; tracebacks hold no local variables, which may hold a tenant's text."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    last = [structlog.processors.format_exc_info, _masked, structlog.processors.JSONRenderer(ensure_ascii=False)]
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
    identity = request_id()
    return {**event, "request_id": identity} if identity else event


def _masked(_logger: Any, _method: str, event: Event) -> Event:
    """Mask what another system or an exception may have repeated of a user's words."""
    masking = Masking()
    return {name: masking.mask(value) if _may_tell(name, value) else value for name, value in event.items()}


def _may_tell(name: str, value: Any) -> bool:
    return name not in OURS and isinstance(value, str)
