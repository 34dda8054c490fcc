"""Documents, models and money for the tests of flows."""

import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from blocks import connections, engines
from blocks.connections import Known
from blocks.language_model import LanguageModel
from flows.ingest import ingest_stored
from tasks.receive import receive_ingestion
from tasks.step import traced
from tests.model_server import ModelServer, serving

TEA = "# Tea\n\nGreen tea is steeped for three minutes at 80 degrees. Black tea takes five minutes.\n"


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    engines._circuits.clear()
    with serving() as server:
        yield server


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that configures targets and limits as if Prefect's block held them."""

    def configure(*targets: Any, request_limit: str = "5", daily_limit: str = "100") -> None:
        limits = {"request_limit": Decimal(request_limit), "daily_limit": Decimal(daily_limit)}
        known = Known(LanguageModel(targets=list(targets), **limits), time.monotonic() + 1e6)
        monkeypatch.setitem(connections._known, LanguageModel, known)

    return configure


async def learn_tea(tenant: UUID, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "tea.md").write_text(TEA)
    ingestion_id = await receive_ingestion([{"uri": str(folder)}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)


def rows(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchall()
