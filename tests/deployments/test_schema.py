"""Whatever the API's own schema lets in, and what it does not, is answered and never a fault of ours."""

import warnings
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from kowai.settings import settings
from tests.deployments.conftest import People

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
EXAMPLES = 3  # for each operation and kind; generated from a fixed seed
BASE = "http://kowai"
WITHOUT_PREFECT = {503}  # it is away in this test, and saying so is right
BOUNDED = hypothesis_settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
async def lively(people: People, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[People]:
    for name in ("KOWAI_REQUESTS_PER_MINUTE", "KOWAI_TENANT_REQUESTS_PER_MINUTE"):
        monkeypatch.setenv(name, "60000")
    monkeypatch.setenv("KOWAI_SOURCE_FOLDERS", str(tmp_path))
    settings.cache_clear()
    async with people.app.router.lifespan_context(people.app):
        yield people


def cases(document: dict[str, Any]) -> dict[str, list[requests.PreparedRequest]]:
    """Return the requests to be sent, by operation: some that the schema allows, some that it does not."""
    found: dict[str, list[requests.PreparedRequest]] = {}
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        made = found[f"{operation.method.upper()} {operation.path}"] = []
        draw(operation.as_strategy(generation_mode=GenerationMode.POSITIVE), made)
        with suppress(Unsatisfiable):  # there is nothing to get wrong where nothing is taken
            draw(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), made)
    return found


def draw(strategy: Any, made: list[requests.PreparedRequest]) -> None:
    @BOUNDED
    @given(strategy)
    def collect(case: Any) -> None:
        made.append(requests.Request(**case.as_transport_kwargs(base_url=BASE)).prepare())

    collect()


async def reply_to(client: httpx.AsyncClient, made: requests.PreparedRequest) -> httpx.Response | None:
    body = made.body.encode() if isinstance(made.body, str) else made.body
    headers = {name: value for name, value in made.headers.items() if name.lower() != "authorization"}
    try:
        request = client.build_request(made.method or "GET", made.url or BASE, headers=headers, content=body)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        return None  # no client can send it
    return await client.send(request)


async def test_no_operation_breaks(lively: People, tenant: UUID) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = cases(lively.app.openapi())
    sent, broken = 0, list[str]()
    token = await lively.key(tenant, "platform_admin")
    async with lively.calling(token) as client:
        for name, requests_made in found.items():
            for made in requests_made:
                reply = await reply_to(client, made)
                if reply is None:
                    continue
                sent += 1
                if reply.status_code >= 500 and reply.status_code not in WITHOUT_PREFECT:
                    broken.append(f"{name} {made.url} {made.body!r:.300}: {reply.status_code} {reply.text[:200]}")
    assert not broken, f"{len(broken)} of {sent}:\n" + "\n".join(broken[:30])
    assert sent >= 4 * len(found)
