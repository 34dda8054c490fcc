"""Whether something answers, asked briefly and without ever raising."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.local.certificates import trusting

if TYPE_CHECKING:  # costs a tenth of a second
    import httpx

PATIENCE_SECONDS = 2.0


@cache
def _client(trusted: Path | None) -> "httpx.Client":
    import httpx

    return httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False, verify=trusting(trusted) if trusted else True)


def answers(url: str, headers: Mapping[str, str] | None = None, *, trusted: Path | None = None) -> bool:
    """Return whether a GET of `url` gives 200; `trusted` is the only certificate that counts, if there is one."""
    return status_of(url, headers, trusted=trusted) == 200


def status_of(url: str, headers: Mapping[str, str] | None = None, *, trusted: Path | None = None) -> int | None:
    """Return the HTTP status of a GET of `url`, None when nobody answers in time."""
    reply = _request("GET", url, headers, None, trusted)
    return reply.status_code if reply is not None else None


def posted(url: str, headers: Mapping[str, str], body: Any) -> Any:
    """Return the JSON that a POST of `body` gives, None for anything but success."""
    reply = _request("POST", url, headers, body, None)
    return reply.json() if reply is not None and reply.is_success else None


def _request(
    method: str, url: str, headers: Mapping[str, str] | None, body: Any, trusted: Path | None
) -> "httpx.Response | None":
    import httpx

    try:
        return _client(trusted).request(method, url, headers=headers, json=body)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
