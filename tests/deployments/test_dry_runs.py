"""What evaluations, promotions, optimisations and teams would take is told beforehand, through HTTP and by commands."""

import json
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from deployments.cli import app as cli
from deployments.commands import api as api_module
from tests.deployments.conftest import People

STORED = """
select (select count(*) from evaluation) + (select count(*) from promotion) + (select count(*) from optimisation)
  + (select count(*) from team) + (select count(*) from setting_version) + (select count(*) from approval)
"""
QUOTE = {
    "items": 3,
    "prompt_tokens": None,
    "output_tokens": None,
    "dollars": None,
    "worst_tokens": 9,
    "worst_dollars": "2",
    "minutes": 5,
    "basis": "limits",
    "model": "m",
    "left_today": "9",
}


async def test_a_dry_run_is_answered_with_a_quote_and_stores_nothing(people: People, tenant: UUID) -> None:
    async with people.admin(tenant) as client:
        setting = {"slot": "retrieval", "content": {"passages": 3}}
        team = {"steps": [{"id": "facts", "persona": "analyst"}]}
        wishes: dict[str, dict[str, Any]] = {
            "evaluations": {"suite": "handbook"},
            "promotions": {"suite": "handbook", "version": setting},
            "teams": {"question": "How long is the warranty?", "plan": team},
        }
        for name, wish in wishes.items():
            reply = await client.post(f"/api/v1/{name}", json=wish | {"dry_run": True})
            assert (reply.status_code, reply.json()["worst_dollars"]) == (200, "0"), reply.text
            assert reply.json()["model"] == "extractive"
        wish = {"suite": "handbook", "persona": "assistant", "dry_run": True}
        refused = await client.post("/api/v1/optimisations", json=wish)
        assert "No language model is configured" in refused.text
        missing = await client.post("/api/v1/evaluations", json={"suite": "none", "dry_run": True})
        assert missing.status_code == 404
    async with people.database.transaction(tenant) as connection:
        assert await connection.scalar(text(STORED)) == 0


@pytest.mark.parametrize(
    "said",
    [
        ["evaluate", "handbook"],
        ["promote", "retrieval", "--set", "passages=3"],
        ["optimise", "assistant", "handbook"],
        ["team", "auto", "Why?"],
    ],
)
def test_a_command_prints_the_quote_and_ends(monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    asked: list[dict[str, Any]] = []

    def reply_of(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        return httpx.Response(200, json=QUOTE)

    client = httpx.Client(base_url="http://kowai", transport=httpx.MockTransport(reply_of))

    def connect(**_: Any) -> httpx.Client:
        return client

    monkeypatch.setattr(api_module, "httpx", SimpleNamespace(**(vars(httpx) | {"Client": connect})))
    done = CliRunner().invoke(cli, [*said, "--dry-run", "--url", "http://kowai", "--key", "k"])
    assert (done.exit_code, [each["dry_run"] for each in asked]) == (0, [True]), done.output
    assert "3 answers by m: at worst $2.0000 ($9.00 are left today) and 5.0 minutes, by limits." in done.output
