"""Model servers for the tests of engines."""

from collections.abc import Iterator

import pytest

from blocks import engines
from tests.model_server import ModelServer, serving


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
