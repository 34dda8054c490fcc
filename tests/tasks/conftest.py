"""Models and money for the tests of tasks: real servers, real tables."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row

from blocks import engines
from blocks.language_model import LanguageModel
from tasks import metered
from tests.model_server import ModelServer, serving


@pytest.fixture
def books(database_url: str, store: Any) -> str:
    """Return the owner's URL of the database whose accounts the test reads."""
    return database_url


@pytest.fixture
def model_server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture
def second_server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _closed_circuits() -> None:
    engines._circuits.clear()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LanguageModel]:
    """Return a function that configures targets and limits for `metered`."""

    def configure(*targets: Any, request_limit: str = "0.50", daily_limit: str = "100") -> LanguageModel:
        block = LanguageModel(
            targets=list(targets), request_limit=Decimal(request_limit), daily_limit=Decimal(daily_limit)
        )

        async def configured() -> LanguageModel:
            return block

        monkeypatch.setattr(metered, "language_model", configured)
        return block

    return configure


def rows(url: str, statement: str) -> list[dict[str, Any]]:
    with psycopg.connect(url, row_factory=dict_row) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def day(books: str, tenant: UUID) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the tenant's day."""
    return lambda: rows(books, f"select * from spend where tenant_id = '{tenant}'")[0]


@pytest.fixture
def calls(books: str) -> Callable[[], list[dict[str, Any]]]:
    return lambda: rows(books, "select * from model_call order by created_at")
