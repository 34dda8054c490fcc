"""The id by which one request is found again: in logs, among Prefect's runs, and by a model's provider."""

import re
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from uuid import uuid4

from kowai.personal.detection import detect

HEADER = "X-Request-ID"
TAG = "request:"
UUID_SHAPE = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE)
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")

_current: ContextVar[str | None] = ContextVar("request_id", default=None)


def request_id() -> str | None:
    """Return the id of the request that is being served, None outside of one."""
    return _current.get()


def accepted(given: str | None) -> str:
    """Return the id a client gave, if it is one and no card number or the like; else a new one."""
    if given and (UUID_SHAPE.fullmatch(given) or (WELL_FORMED.fullmatch(given) and not detect(given))):
        return given
    return uuid4().hex


def tagged(tags: Iterable[str]) -> str | None:
    """Return the id that a flow run's tags name."""
    return next((tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG)), None)


@contextmanager
def correlated(identity: str | None) -> Generator[None]:
    """Let everything inside the block belong to that request; None leaves it with the one it belongs to."""
    token = _current.set(identity or _current.get())
    try:
        yield
    finally:
        _current.reset(token)
