"""One Prefect server, and work pools on it with real workers."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

from deployments.local.environment import CODE

sys.path.insert(0, str(Path(__file__).parent / "warm_data"))

from warm_pool import Pool  # pyright: ignore[reportMissingImports]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start one Prefect server for the session; return the address of its API."""
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_SERVER_LOGGING_LEVEL": "ERROR"}
    quiet |= {"PREFECT_SERVER_UI_ENABLED": "false", "PYTHONPATH": str(CODE)}
    environment = {**os.environ, **quiet, "PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    command = (sys.executable, "-m", "uvicorn", "--factory", "deployments.local.prefect_app:create_app")
    process = subprocess.Popen(
        (*command, "--port", str(port)),
        env=environment,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2).is_success:
                break
        time.sleep(0.2)
    yield url
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="session")
def flows() -> Any:
    import warm_sample  # pyright: ignore[reportMissingImports]

    return warm_sample


@pytest.fixture(scope="session")
def shared(server: str, flows: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Start one worker for the tests that leave it in peace."""
    place = Pool(server, tmp_path_factory.mktemp("shared"))
    place.work()
    yield place
    place.close()


@pytest.fixture
async def client(server: str, tmp_path: Path) -> AsyncIterator[PrefectClient]:
    with temporary_settings({PREFECT_API_URL: server, PREFECT_HOME: tmp_path / "own"}):
        async with PrefectClient(server) as client:
            yield client


@pytest.fixture
async def served(shared: Pool, client: PrefectClient) -> Pool:
    return await shared.reached_by(client)


@pytest.fixture
async def pool(server: str, tmp_path: Path, client: PrefectClient) -> AsyncIterator[Pool]:
    """Return a pool whose workers the test starts and stops itself."""
    place = await Pool(server, tmp_path).reached_by(client)
    yield place
    place.close()
