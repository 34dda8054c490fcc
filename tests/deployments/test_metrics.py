"""What Prometheus scrapes, and what strangers and operators see of the platform's health."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert

from blocks.database import Database
from deployments.shim.meters import REGISTRY
from kowai.tables.ledger import Outbox
from kowai.tables.money import Spend
from tasks.census import take_census
from tests.deployments.conftest import People, Shim

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
SECRETIVE = {"version", "uptime_seconds", "resources"}


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(text: str, name: str, **labels: str) -> float | None:
    return samples(text).get((name, frozenset(labels.items())))


async def test_metrics_take_the_permission_to_read_of_the_platform(people: People, tenant: UUID) -> None:
    async with people.calling() as nobody, people.admin(tenant) as admin:
        assert (await nobody.get("/metrics")).status_code == 401
        assert (await admin.get("/metrics")).status_code == 403


async def test_metrics_count_requests_answers_and_what_waits_without_any_text(shim: Shim) -> None:
    async with shim.client() as client:
        for question in ("How long is green tea steeped?", "Who won the 1974 chess olympiad in Nice?"):
            (await client.post("/api/v1/query", json={"query": question})).raise_for_status()
        await client.get("/no-such-path-at-all")
        text = (await client.get("/metrics")).raise_for_status().text
    asked = {"method": "POST", "route": "/api/v1/query"}
    assert (value(text, "kowai_requests_total", status="200", **asked) or 0) >= 2
    assert (value(text, "kowai_request_seconds_count", **asked) or 0) >= 2
    assert (value(text, "kowai_requests_total", method="GET", route="unmatched", status="404") or 0) >= 1
    assert value(text, "kowai_questions_today", outcome="answered") == 1
    assert value(text, "kowai_questions_today", outcome="abstained") == 1
    assert value(text, "kowai_queue_depth", queue="documents") == 0
    assert value(text, "kowai_dollars_today", kind="spent") == 0
    assert value(text, "kowai_tenants", state="active") == 1
    assert value(text, "kowai_prefect_up") == 0
    for told in ("green tea", "chess", "no-such-path", str(shim.tenant), "default"):
        assert told not in text


async def test_routes_are_counted_by_their_patterns(shim: Shim) -> None:
    async with shim.client() as client:
        (document,) = (await client.get("/api/v1/documents")).json()["documents"]
        (await client.get(f"/api/v1/documents/{document['id']}")).raise_for_status()
        text = (await client.get("/metrics")).text
    assert document["id"] not in text
    found = value(text, "kowai_requests_total", method="GET", route="/api/v1/documents/{document_id}", status="200")
    assert (found or 0) >= 1


async def test_the_census_adds_up_all_tenants(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    assert (await take_census()).queues["outbox"] == 0
    for one in (tenant, other_tenant):
        async with store.transaction(one) as connection:
            await connection.execute(insert(Outbox).values(tenant_id=one, kind="test", attempts=0, due_at=LONG_AGO))
            today = {"day": datetime.now(UTC).date(), "spent": Decimal("0.25"), "reserved": 0, "settlements": 3}
            await connection.execute(insert(Spend).values(tenant_id=one, **today))
    census = await take_census()
    assert census.tenants == {"active": 2}
    assert census.queues["outbox"] == 2
    assert census.dollars["spent"] == 0.5
    assert census.calls["paid"] == 6


async def test_a_stranger_learns_how_parts_are_and_nothing_about_them(shim: Shim) -> None:
    async with httpx.AsyncClient(base_url=shim.url, trust_env=False) as stranger:
        for path in ("/health", "/ready"):
            told = (await stranger.get(path)).json()
            assert told["status"] == "degraded"  # Prefect does not run here
            assert told["components"]["database"] == {"state": "ok"}
            assert not SECRETIVE & set(told)
        forged = await stranger.get("/health", headers={"Authorization": "Bearer nonsense"})
        assert not SECRETIVE & set(forged.json())


async def test_an_operator_learns_versions_resources_and_details(shim: Shim) -> None:
    async with shim.client() as operator:
        viewer = (await operator.post("/api/v1/keys", json={"name": "viewer", "role": "viewer"})).json()["key"]
        told = (await operator.get("/health")).json()
        kept_from = (await operator.get("/health", headers={"Authorization": f"Bearer {viewer}"})).json()
    assert told["components"]["database"]["detail"].startswith("PostgreSQL")
    assert told["components"]["prefect"] == {"state": "down", "detail": "ConnectionError"}
    assert told["components"]["model"] == {"state": "ok", "detail": "extractive"}
    assert 0 <= told["resources"]["memory"] <= 1
    assert told["resources"]["process_bytes"] > 0
    assert set(told) >= SECRETIVE
    assert not SECRETIVE & set(kept_from)


def test_the_dashboard_shows_only_what_is_measured() -> None:
    board = json.loads((Path(__file__).parents[2] / "infra/dashboards/kowai.json").read_text())
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    families = text_string_to_metric_families(generate_latest(REGISTRY).decode())
    known = {name for family in families for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")}
    named = set(re.findall(r"\b(?:kowai|process)_\w+", asked))
    assert named
    assert named <= known
