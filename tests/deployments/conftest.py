"""A shim that serves, over real HTTP, a tenant who has two sentences about tea."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, NamedTuple
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert

from blocks import connections, engines
from blocks.database import Database
from blocks.language_model import LanguageModel
from deployments.first_key import ensure_first_key
from deployments.shim.app import create_app
from flows.ingest import ingest_stored
from kowai.keys import format_key, parse_key
from kowai.settings import settings
from kowai.tables.identity import ApiKey
from tasks.receive import receive_ingestion
from tasks.step import traced
from tests.deployments.serving import serving as serving_app
from tests.model_server import ModelServer, serving
from tests.prefect_stand_in import StandIn

TEA = "Green tea is steeped for three minutes at 80 degrees.\n\nBlack tea is steeped for five minutes at 95 degrees.\n"


class Shim(NamedTuple):
    """Say where a shim listens and by which key its tenant may ask."""

    url: str
    key: str
    tenant: UUID

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}"}, timeout=60.0, trust_env=False
        )


@asynccontextmanager
async def listening() -> AsyncIterator[str]:
    """Serve one application until the block ends; two are as two processes, for they share only the database."""
    async with serving_app(create_app()) as url:
        yield url


@pytest.fixture
async def shim(store: Database, tenant: UUID, tmp_path: Path) -> AsyncIterator[Shim]:
    secrets = settings().secrets
    secrets.mkdir(parents=True)
    key = format_key(tenant, "s" * 43)
    (secrets / "api-key").write_text(key)
    await ensure_first_key()
    (tmp_path / "tea.md").write_text(TEA)
    ingestion_id = await receive_ingestion([{"uri": str(tmp_path / "tea.md")}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    async with listening() as url:
        yield Shim(url, key, tenant)


@pytest.fixture
async def second_shim(shim: Shim) -> AsyncIterator[Shim]:
    async with listening() as url:
        yield shim._replace(url=url)


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that configures the models every part of this process works with."""

    def configure(*targets: Any, **limits: str) -> None:
        block = LanguageModel(targets=list(targets), **{name: Decimal(value) for name, value in limits.items()})
        known = connections.Known(block, time.monotonic() + 3600)
        monkeypatch.setitem(connections._known, LanguageModel, known)
        engines._circuits.clear()

    return configure


@pytest.fixture
async def prefect(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StandIn]:
    """Point this process at a stand-in of Prefect's server."""
    stand_in = StandIn()
    async with stand_in.serving() as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        yield stand_in


class People(NamedTuple):
    """Hold one application in this process, and let anybody call it."""

    app: FastAPI
    database: Database

    @asynccontextmanager
    async def calling(self, token: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://kowai", headers=headers) as client:
            yield client

    async def key(self, tenant: UUID, role: str, **more: Any) -> str:
        """Return a new key of the tenant with that role."""
        key = format_key(tenant, token_urlsafe(32))
        row = {"tenant_id": tenant, "name": role, "role": role, "digest": parse_key(key).digest} | more
        async with self.database.transaction(tenant) as connection:
            await connection.execute(insert(ApiKey).values(**row))
        return key

    @asynccontextmanager
    async def admin(self, tenant: UUID, role: str = "admin") -> AsyncIterator[httpx.AsyncClient]:
        async with self.calling(await self.key(tenant, role)) as client:
            yield client


@pytest.fixture
async def people(store: Database) -> People:
    secrets = settings().secrets
    secrets.mkdir(parents=True, exist_ok=True)
    (secrets / "token-key").write_text("k" * 64)
    return People(create_app(), store)


@pytest.fixture
async def lively(prefect: StandIn, people: People) -> AsyncIterator[People]:
    """Return people whose application has begun its work beside answering, told to the stand-in."""
    async with people.app.router.lifespan_context(people.app):
        yield people
