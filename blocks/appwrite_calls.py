"""Calls of Appwrite's SDK, which is synchronous, knows no timeouts and keeps no connections: bounded on all sides.

Its module of HTTP calls is given a pooled session without cookies or redirects, since both would carry one caller's
access to another place. It is imported by the first call, in that call's thread, for it costs most of a second.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from http.cookiejar import DefaultCookiePolicy
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kowai.circuits import Circuit
from kowai.errors import KowaiError, Unavailable

if TYPE_CHECKING:
    import requests
    from appwrite.client import Client

T = TypeVar("T")

CONNECT_SECONDS = 3.05
READ_SECONDS = 30.0
POOL = 32
FAILURES, REST_SECONDS = 3, 5.0
MANY = 429
BYTES = "application/octet-stream"
SDK = "appwrite.services.users"  # and with it most of the rest

_thread = threading.local()


class AppwriteUnavailable(Unavailable):
    """Say that Appwrite does not answer; what does not need it goes on."""

    code = "appwrite_unavailable"

    def __init__(self, sentence: str = "Appwrite does not answer: try again shortly.", **more: str | None) -> None:
        super().__init__(sentence, **more)


class AppwriteRefused(KowaiError):
    """Say that Appwrite refused a call, by its HTTP status and its own word for the kind of error."""

    code, http_status = "appwrite_refused", 502

    def __init__(
        self,
        sentence: str = "Appwrite refused what KowAI asked of it.",
        *,
        operator: str | None = None,
        status: int = 0,
        kind: str = "",
    ) -> None:
        super().__init__(sentence, operator=operator)
        self.status, self.kind = status, kind

    def __reduce__(self) -> tuple[Any, ...]:
        return *super().__reduce__(), {"status": self.status, "kind": self.kind}


class Access(NamedTuple):
    """Name a project, and by which key of a server or token of a user it is entered."""

    endpoint: str
    project: str
    key: str = ""
    token: str = ""


class Lane:
    """Let so many calls of one purpose go on at once, so that slow uploads keep nobody from logging in.

    `seconds` bound a whole call with its wait for a thread, `read_seconds` each silence of the server. An endpoint that
    fails is left alone for a while.
    """

    def __init__(self, name: str, threads: int, *, seconds: float, read_seconds: float) -> None:
        self._seconds = seconds
        self._circuits: dict[str, Circuit] = {}
        self._threads = ThreadPoolExecutor(
            threads, f"appwrite-{name}", initializer=_be_patient, initargs=(read_seconds,)
        )

    async def call(self, work: Callable[["Client"], T], access: Access) -> T:
        """Do `work` in a thread. Raises AppwriteUnavailable and AppwriteRefused."""
        loop = asyncio.get_running_loop()
        if SDK not in sys.modules:
            await asyncio.to_thread(import_module, SDK)  # before the clock starts
        try:
            async with asyncio.timeout(self._seconds):
                return await loop.run_in_executor(self._threads, self.do, work, access)
        except TimeoutError as error:
            raise AppwriteUnavailable(operator=f"no answer of {access.endpoint} in {self._seconds} s") from error

    def do(self, work: Callable[["Client"], T], access: Access) -> T:
        """Do `work` here and now, in a thread that may wait."""
        circuit = self._circuits.setdefault(access.endpoint, Circuit(FAILURES, REST_SECONDS))
        if not circuit.enter(time.monotonic()):
            raise AppwriteUnavailable(operator=f"{access.endpoint} rests after failures")
        try:
            result = work(_client(access))
        except Exception as error:
            told = _typed(error)
            if isinstance(told, AppwriteUnavailable):
                circuit.fail(time.monotonic())
            else:
                circuit.succeed()
            raise told from error
        circuit.succeed()
        return result


def _be_patient(seconds: float) -> None:
    _thread.read_seconds = seconds


def _client(access: Access) -> "Client":
    """Return a client of its own: the SDK keeps who calls in the instance."""
    from appwrite import client

    client.requests = _transport()
    made = client.Client().set_endpoint(access.endpoint).set_project(access.project)
    return made.set_jwt(access.token) if access.token else made.set_key(access.key)


@cache
def _transport() -> "Transport":
    return Transport()


class Transport:
    """Stand where the SDK looks for the module `requests`."""

    def __init__(self) -> None:
        import requests
        from requests.adapters import HTTPAdapter

        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=POOL))

    def request(self, **call: Any) -> "requests.Response":
        patience = (CONNECT_SECONDS, getattr(_thread, "read_seconds", READ_SECONDS))
        call["allow_redirects"] = False
        response = self._session.request(**call, timeout=patience)
        if response.is_redirect:
            raise ValueError(f"{call['url']} redirects: the endpoint of the block is not the server's own")
        response.headers.setdefault("Content-Type", "")  # the SDK looks for it without asking
        if response.ok and (not response.content or call["url"].endswith("/download")):
            response.headers["Content-Type"] = BYTES  # or the SDK would parse nothing, and files that are JSON
        return response


def refused_as(error: Exception, status: int) -> bool:
    """Tell whether the SDK was refused a call by this HTTP status."""
    from appwrite.exception import AppwriteException

    return isinstance(error, AppwriteException) and error.code == status


def _typed(error: Exception) -> KowaiError:
    from appwrite.exception import AppwriteException

    if isinstance(error, KowaiError):
        return error
    if not isinstance(error, AppwriteException):
        return AppwriteUnavailable(operator=repr(error)[:500])
    status, kind = int(error.code or 0), str(error.type or "")  # pyright: ignore[reportUnknownArgumentType]
    said = f"{status} {kind}: {error.message}"[:500]
    if status in (0, MANY) or status >= 500:
        return AppwriteUnavailable(operator=said)
    return AppwriteRefused(operator=said, status=status, kind=kind)


IDENTITY = Lane("identity", 8, seconds=6.0, read_seconds=4.0)
DATA = Lane("data", 8, seconds=600.0, read_seconds=READ_SECONDS)
