"""People are added, log in and make keys from the command line."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from deployments.cli import app
from tests.deployments.conftest import Shim

Kowai = Callable[..., str]


@pytest.fixture
def quiet_shim(shim: Shim) -> Iterator[None]:
    """Keep what the shim logs apart from what a command prints: here both are one process."""
    usual = structlog.get_config()["logger_factory"]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
    yield
    structlog.configure(logger_factory=usual)


@pytest.fixture
def kowai(shim: Shim, quiet_shim: None) -> Kowai:
    def run(*arguments: str, typed: str = "") -> str:
        result = CliRunner().invoke(app, arguments, input=typed, env={"KOWAI_URL": shim.url})
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    return run


async def test_a_user_is_added_sets_a_password_logs_in_makes_a_key_and_leaves(
    kowai: Kowai, shim: Shim, tmp_path: Path
) -> None:
    secrets = tmp_path / "state" / "secrets"
    (secrets / "token-key").write_text("k" * 64)
    session = secrets / "login"
    token = (await asyncio.to_thread(kowai, "users", "add", "ada@example.org", "--role", "admin")).split()[-1]
    sentence = "a long enough sentence"
    await asyncio.to_thread(kowai, "users", "password", token, typed=f"{sentence}\n{sentence}\n")
    await asyncio.to_thread(kowai, "login", "ada@example.org", typed=f"{sentence}\n")
    assert session.stat().st_mode & 0o077 == 0
    key = (await asyncio.to_thread(kowai, "keys", "make", "website", "--scope", "account.use")).strip()
    async with shim._replace(key=key).client() as client:
        assert (await client.get("/api/v1/auth/me")).json()["scopes"] == ["account.use"]
    assert "ada@example.org" in await asyncio.to_thread(kowai, "users", "list", "--json")
    await asyncio.to_thread(kowai, "keys", "revoke", "website")
    async with shim._replace(key=key).client() as client:
        assert (await client.get("/api/v1/auth/me")).status_code == 401
    await asyncio.to_thread(kowai, "logout")
    assert not session.exists()


async def test_a_user_is_changed_by_their_address_and_nobody_by_an_unknown_one(kowai: Kowai) -> None:
    await asyncio.to_thread(kowai, "users", "add", "ada@example.org")
    await asyncio.to_thread(kowai, "users", "change", "Ada@example.org", "--role", "analyst")
    assert "analyst" in await asyncio.to_thread(kowai, "users", "list")
    with pytest.raises(AssertionError, match="None of users has the email"):
        await asyncio.to_thread(kowai, "users", "change", "eve@example.org", "--disable")
