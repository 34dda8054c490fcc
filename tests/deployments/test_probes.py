"""Nobody gets at another tenant's data: every route and every table is tried, as everybody, with foreign ids."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
import pytest
from fastapi.routing import iter_route_contexts
from psycopg import sql

from deployments.shim.app import app
from deployments.shim.identity import Permission, anyone
from kowai.permissions import LEAST_ROLE, ROLES
from kowai.settings import settings
from kowai.tenant_tables import tenant_tables
from tests.deployments.conftest import People

EXPECTED = dict(LEAST_ROLE)
CANARY = "canary-of-another-tenant"
APPLICATION = "kowai_app"
TOLD_MORE = "health.read"  # /health answers everybody, and tells more to who has it: tests/deployments/test_metrics.py
OWN_ROUTES = ("answer", "api_key", "batch", "conversation", "document", "event", "evaluation", "ingestion", "query")


class Operation(NamedTuple):
    """Hold one operation of the OpenAPI document and the permission that its route declares."""

    method: str
    path: str
    details: dict[str, Any]
    permission: str | None

    @property
    def takes_ids(self) -> bool:
        return "{" in self.path


# Prefect's door hands everything on, so the document does not list what it takes.
PREFECT = [
    Operation("GET", "/prefect/api/health", {}, "prefect.read"),
    Operation("POST", "/prefect/api/flow_runs/filter", {}, "prefect.read"),
    Operation("POST", "/prefect/api/flow_runs/{id}/set_state", {}, "prefect.use"),
]


class Victim(NamedTuple):
    """Hold a tenant with one row in every table, and the ids of those rows."""

    tenant: UUID
    ids: dict[str, UUID]


def declared(dependant: Any) -> str | None:
    """Return the permission a route takes; None where anyone may use it."""
    if isinstance(dependant.call, Permission):
        return dependant.call.name
    if dependant.call is anyone:
        return None
    found = [name for inner in dependant.dependencies if (name := declared(inner)) is not None]
    return found[0] if found else None


@cache
def operations() -> list[Operation]:
    routes = {
        (method, route.path): route
        for route in iter_route_contexts(app.routes)
        for method in getattr(route, "methods", None) or ()
    }
    described = [
        Operation(method.upper(), path, details, declared(routes[method.upper(), path].dependant))
        for path, verbs in app.openapi()["paths"].items()
        for method, details in verbs.items()
    ]
    return [*described, *PREFECT]


def example(schema: dict[str, Any], whole: dict[str, Any], victim: UUID, depth: int = 0) -> Any:
    """Return a value of the schema in which every id is the victim's."""
    if "$ref" in schema:
        schema = whole["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for choice in ("anyOf", "oneOf", "allOf"):
        if choice in schema:
            return example(schema[choice][0], whole, victim, depth)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    match schema.get("type"):
        case "object":
            wanted = schema.get("properties", {}) if depth < 3 else {}
            needed = set(schema.get("required", ())) | {name for name in wanted if name.endswith("_id")}
            return {name: example(wanted[name], whole, victim, depth + 1) for name in needed if name in wanted}
        case "array":
            return [example(schema.get("items", {}), whole, victim, depth + 1)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return str(victim)


def value_for(kind: str, length: int | None) -> Any:
    """Return something a column of that type takes."""
    known: dict[str, Any] = {"uuid": None, "boolean": False, "jsonb": "[]", "halfvec": "[" + "0," * 383 + "0]"}
    if kind in known:
        return known[kind]
    if kind in ("bigint", "integer", "smallint", "numeric", "double precision", "real"):
        return 1
    if kind.startswith(("timestamp", "date")):
        return "2026-01-31"
    if kind.endswith("[]"):
        return "{}"
    return CANARY[:length] if length else CANARY


COLUMNS = """
select a.attname, case when t.typname = 'halfvec' then 'halfvec' else format_type(a.atttypid, null) end,
  case when a.atttypmod > 4 and t.typname in ('varchar', 'bpchar') then a.atttypmod - 4 end
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped and a.attidentity = '' and a.attgenerated = ''
"""
CHECKS = "select conname from pg_constraint where conrelid = %s::regclass and contype = 'c'"


def plant(url: str, tenant: UUID) -> Victim:
    """Put one row of the tenant into every table, as the owner, with constraints and triggers out of the way."""
    ids: dict[str, UUID] = {}
    with psycopg.connect(url) as connection:
        connection.execute("set session_replication_role = replica")
        connection.execute("set row_security = off")
        for table in tenant_tables():
            for (name,) in connection.execute(CHECKS, (table.name,)).fetchall():
                connection.execute(
                    sql.SQL("alter table {} drop constraint {}").format(
                        sql.Identifier(table.name), sql.Identifier(name)
                    )
                )
            ids[table.name] = uuid4()
            columns = connection.execute(COLUMNS, (table.name,)).fetchall()
            row = {
                name: tenant if name == "tenant_id" else ids[table.name] if kind == "uuid" else value_for(kind, length)
                for name, kind, length in columns
            }
            connection.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    sql.Identifier(table.name),
                    sql.SQL(", ").join(map(sql.Identifier, row)),
                    sql.SQL(", ").join(sql.Placeholder() * len(row)),
                ),
                list(row.values()),
            )
    return Victim(tenant, ids)


def picture(url: str, tenant: UUID) -> dict[str, str | None]:
    """Return what the tenant's rows look like, table by table."""
    with psycopg.connect(url) as connection:
        return {
            table.name: connection.execute(
                sql.SQL("select md5(string_agg(t::text, '|' order by t::text)) from {} t where tenant_id = %s").format(
                    sql.Identifier(table.name)
                ),
                (tenant,),
            ).fetchone()[0]  # type: ignore[index]
            for table in tenant_tables()
        }


@contextmanager
def as_application(url: str, tenant: UUID) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url) as connection:
        connection.execute(sql.SQL("set local role {}").format(sql.Identifier(APPLICATION)))
        connection.execute("select set_config('app.tenant', %s, true)", (str(tenant),))
        yield connection
        connection.rollback()


STATEMENTS = {
    "select": "select count(*) from {table} where tenant_id = {victim}",
    "update": "with touched as (update {table} set tenant_id = tenant_id where tenant_id = {victim} returning 1)"
    " select count(*) from touched",
    "delete": "with gone as (delete from {table} where tenant_id = {victim} returning 1) select count(*) from gone",
    "steal": "with stolen as (update {table} set tenant_id = {attacker} where tenant_id = {victim} returning 1)"
    " select count(*) from stolen",
}


def leaking_tables(url: str, victim: Victim, attacker: UUID) -> tuple[int, set[str]]:
    """Try every table in every way as the application bound to another tenant."""
    probes, leaks = 0, set[str]()
    with as_application(url, attacker) as connection:
        for table in tenant_tables():
            for statement in STATEMENTS.values():
                probes += 1
                composed = sql.SQL(statement).format(
                    table=sql.Identifier(table.name),
                    victim=sql.Literal(str(victim.tenant)),
                    attacker=sql.Literal(str(attacker)),
                )
                try:
                    with connection.transaction():
                        found = connection.execute(composed).fetchone()
                except psycopg.Error:
                    continue
                if found and found[0]:
                    leaks.add(table.name)
    return probes, leaks


def paths(operation: Operation, victim: Victim) -> list[str]:
    """Return the operation's path with each of the victim's ids in the place of its parameters."""
    if not operation.takes_ids:
        return [operation.path]
    given = [victim.tenant, *(id for table, id in victim.ids.items() if table in OWN_ROUTES)]
    return [_filled(operation.path, str(one)) for one in given]


def _filled(path: str, value: str) -> str:
    return re.sub(r"\{[^}]*\}", value, path)


async def probe(people: People, attacker: UUID, victim: Victim) -> tuple[int, list[str]]:
    """Call every operation as everybody with the victim's ids; return how many calls, and what went wrong."""
    whole, count, wrong = app.openapi(), 0, list[str]()
    for role in (None, *ROLES):
        token = await people.key(attacker, role) if role else None
        async with people.calling(token) as client:
            for operation in operations():
                if operation.permission == "tenants.manage" and role == "platform_admin":
                    continue  # whose business other tenants are
                content = operation.details.get("requestBody", {}).get("content", {})
                schema = content.get("application/json", {}).get("schema")
                body = example(schema, whole, victim.tenant) if schema else None
                expected = refusal(operation.permission, role)
                # Whoever is refused is refused whatever the id is; whoever may, tries all of them.
                for path in paths(operation, victim)[: 2 if expected else None]:
                    response = await client.request(operation.method, path, json=body)
                    count += 1
                    odd = response.status_code != expected if expected else response.status_code == 500
                    if odd or CANARY in response.text:
                        wrong.append(f"{role} {operation.method} {path}: {response.status_code} {response.text[:200]}")
    return count, wrong


def refusal(permission: str | None, role: str | None) -> int | None:
    """Return the status by which the role has to be refused; None where it may."""
    if permission is None:
        return None
    if role is None:
        return 401
    return None if ROLES.index(role) >= ROLES.index(EXPECTED[permission]) else 403


@pytest.fixture
async def lively(people: People) -> AsyncIterator[People]:
    """Run the application's lifespan: answers are made here, and Prefect is away."""
    async with people.app.router.lifespan_context(people.app):
        yield people


@pytest.fixture
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_REQUESTS_PER_MINUTE", "60000")
    monkeypatch.setenv("KOWAI_TENANT_REQUESTS_PER_MINUTE", "60000")
    settings.cache_clear()


@pytest.mark.slow
async def test_a_thousand_probes_find_no_leak(
    unlimited: None, lively: People, tenant: UUID, other_tenant: UUID, database_url: str
) -> None:
    victim = plant(database_url, other_tenant)
    before = picture(database_url, other_tenant)
    count, wrong = await probe(lively, tenant, victim)
    tables, leaks = leaking_tables(database_url, victim, tenant)
    assert not wrong, f"{len(wrong)} of {count}: " + "\n".join(wrong[:20])
    assert not leaks
    assert picture(database_url, other_tenant) == before
    assert count + tables >= 1000, f"only {count} calls and {tables} statements"


@pytest.mark.slow
async def test_taking_away_any_one_policy_is_found(
    people: People, tenant: UUID, other_tenant: UUID, database_url: str
) -> None:
    victim = plant(database_url, other_tenant)
    for table in tenant_tables():
        with psycopg.connect(database_url) as connection:
            named = sql.Identifier(table.name)
            connection.execute(sql.SQL("alter table {} disable row level security").format(named))
        assert leaking_tables(database_url, victim, tenant)[1] == {table.name}
        with psycopg.connect(database_url) as connection:
            connection.execute(sql.SQL("alter table {} enable row level security").format(named))


@pytest.mark.slow
@pytest.mark.parametrize(
    "permission", [name for name, role in EXPECTED.items() if role != "viewer" and name != TOLD_MORE]
)
async def test_taking_away_any_one_permission_is_found(
    unlimited: None, people: People, tenant: UUID, permission: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded = [operation for operation in operations() if operation.permission == permission]
    assert guarded
    monkeypatch.setitem(LEAST_ROLE, permission, "viewer")
    async with people.admin(tenant, "viewer") as viewer:
        operation = guarded[0]
        response = await viewer.request(operation.method, _filled(operation.path, str(uuid4())), json={})
    assert response.status_code != 403
