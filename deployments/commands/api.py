"""KowAI's API as the commands see it: one reply as a dictionary, or one error as a sentence."""

import ssl
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

import httpx

from deployments.commands.session import session_token
from deployments.local.certificates import trusting
from deployments.local.environment import shim_url
from deployments.local.layout import configured, layout
from deployments.local.record import find_process, read_record
from deployments.local.secret_files import read_secret
from kowai.errors import KowaiError, Misconfigured, Unavailable

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 3600.0  # indexing a batch may take long; the server bounds itself
ATTEMPTS = 4
BUSY = (429, 503)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class NotRunning(Unavailable):
    code = "not_running"


class Refused(KowaiError):
    """Carry the API's own sentence and code and the HTTP status they came with."""

    code = "refused"

    def __init__(self, sentence: str, *, operator: str | None = None, status: int = 0, cause: str = "refused") -> None:
        super().__init__(sentence, operator=operator)
        self.status, self.cause = status, cause


class Api:
    """Hold one connection; times out on connecting, not on waiting for an answer."""

    def __init__(self, url: str | None, key: str | None) -> None:
        self.url = (url or running_url()).rstrip("/")
        parsed, verify = httpx.URL(self.url), verification(self.url)
        self.client = httpx.Client(
            base_url=parsed,
            headers={"Authorization": f"Bearer {key or session_token(self.url, verify) or first_key()}"},
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            trust_env=parsed.host not in LOOPBACK,
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **query: Any) -> Any:
        """Return what is there, as `post` does; what is None is not asked for."""
        wanted = {name: value for name, value in query.items() if value is not None}
        return self._asked(lambda: self.client.get(path, params=wanted)).json()

    def post(self, path: str, body: Any = None, files: Any = None) -> dict[str, Any]:
        """Return the reply; a busy server is asked again, under one key. Raises NotRunning and Refused."""
        once = {"Idempotency-Key": str(uuid4())}
        return self._asked(lambda: self.client.post(path, json=body, files=files, headers=once)).json()

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """Return the reply, or None when there is none to be read."""
        response = self._asked(lambda: self.client.request(method, path, json=body))
        return response.json() if response.content else None

    def delete(self, path: str, **query: Any) -> dict[str, Any]:
        response = self._asked(lambda: self.client.delete(path, params=query))
        return response.json() if response.content else {}

    def patch(self, path: str, body: Any) -> Any:
        return self._asked(lambda: self.client.patch(path, json=body)).json()

    def put(self, path: str, body: Any) -> Any:
        return self._asked(lambda: self.client.put(path, json=body)).json()

    def download(self, path: str, query: dict[str, str]) -> bytes:
        return self._asked(lambda: self.client.get(path, params=query)).content

    @contextmanager
    def stream(
        self, method: str, path: str, body: Any = None, last_event_id: str | None = None
    ) -> Generator[httpx.Response]:
        """Yield a reply whose body is still to come; leaving the block ends it. Raises as `post` does."""
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        with self._told_in_sentences(), self.client.stream(method, path, json=body, headers=headers) as response:
            if response.is_error:
                response.read()
                raise _refused(response)
            yield response

    def _asked(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        response = self._ask(ask)
        for attempt in range(1, ATTEMPTS):
            if response.status_code not in BUSY:
                break
            time.sleep(_pause(response, attempt))
            response = self._ask(ask)
        if response.is_error:
            raise _refused(response)
        return response

    def _ask(self, ask: Callable[[], httpx.Response]) -> httpx.Response:
        with self._told_in_sentences():
            return ask()

    @contextmanager
    def _told_in_sentences(self) -> Generator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            sentence = f"KowAI is not running at {self.url}: start it with `kowai up`."
            raise NotRunning(sentence, operator=str(error)) from error
        except httpx.TransportError as error:
            sentence = f"The connection to {self.url} broke ({error or type(error).__name__}). Run the command again."
            raise Unavailable(sentence) from error


def running_url() -> str:
    """Return where the KowAI of this state directory listens, or would."""
    record = read_record(layout().record)
    if record and record.url and find_process(record.pid, record.born):
        return record.url
    return shim_url(configured())


def verification(url: str) -> ssl.SSLContext | bool:
    """Return how the certificate at `url` is checked: ours must be the very one that `kowai up --tls` was given."""
    return trusting(layout().certificate) if url.startswith("https:") and url == running_url() else True


def first_key() -> str:
    folder = layout().secrets
    if not (folder / "api-key").exists():
        raise Misconfigured(
            f"There is no API key in {folder}: run `kowai up` first, or give one by --key or KOWAI_API_KEY."
        )
    return read_secret(folder, "api-key")


def _pause(response: httpx.Response, attempt: int) -> float:
    wanted = response.headers.get("Retry-After", "")
    return min(float(wanted), 30.0) if wanted.isdigit() else 0.5 * 2**attempt


def _refused(response: httpx.Response) -> Refused:
    status = response.status_code
    try:
        error = response.json()["error"]
        return Refused(str(error["message"]), status=status, cause=str(error["code"]))
    except (ValueError, KeyError, TypeError):
        return Refused(f"The server answered {status}: {response.text[:200] or response.reason_phrase}", status=status)
