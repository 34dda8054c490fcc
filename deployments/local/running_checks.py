"""Checks of a running KowAI: database, schema, Prefect, deployments, worker, API."""

from collections.abc import Iterator
from typing import Any, LiteralString

from deployments.local import environment, postgres, probes
from deployments.local.findings import Finding, fail, ok, warn
from deployments.local.layout import Layout
from deployments.local.status import status
from kowai.settings import Settings

LOGS = "Look at the logs in {}"
RESTART = "Stop KowAI and start it again: kowai down; kowai up"
VECTOR: LiteralString = "select extversion from pg_extension where extname = 'vector'"


def check_processes(place: Layout, settings: Settings) -> Iterator[Finding]:
    for line in status(place, settings):
        told = f"{line.name} is {line.state}" + (f": {line.sentence}" if line.sentence else "")
        yield ok("process", told) if line.is_fine else fail("process", told, LOGS.format(place.root / "logs"))


def check_database(place: Layout, settings: Settings) -> Iterator[Finding]:
    """Enter the database as its owner; see that pgvector is there and the schema is the newest."""
    import psycopg

    own = settings.database_url
    url = own.get_secret_value() if own else postgres.owner_url(place.cluster)
    try:
        with psycopg.connect(url.replace("+psycopg", "", 1), connect_timeout=3) as connection:
            yield ok("database", f"PostgreSQL {connection.info.server_version // 10000} answers")
            vector = connection.execute(VECTOR).fetchone()
            yield ok("pgvector", vector[0]) if vector else fail("pgvector", "It is not installed there.", RESTART)
            yield check_schema(connection)
    except psycopg.Error as error:
        cause = " ".join(str(error).split())
        yield fail("database", f"It cannot be reached: {cause}", LOGS.format(place.root / "logs"))


def check_schema(connection: Any) -> Finding:
    """Compare the database's revision with the newest migration's."""
    import psycopg
    from alembic.script import ScriptDirectory

    from deployments.migrate import configuration

    newest = ScriptDirectory.from_config(configuration("postgresql://")).get_current_head()
    try:
        row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row and row[0] == newest:
        return ok("schema", f"revision {newest} is the newest")
    return fail("schema", f"Revision {row[0] if row else 'none'}, newest {newest}.", RESTART)


def check_prefect(place: Layout, settings: Settings) -> Iterator[Finding]:
    """See that the Prefect API answers and knows us, every deployment and a worker that is online."""
    url = environment.own_prefect(settings) or environment.embedded_prefect_url(settings)
    headers = environment.prefect_headers(place, settings)
    if not probes.answers(f"{url}/health", headers):
        yield fail("prefect", f"Nobody answers at {url}.", LOGS.format(place.log("prefect")))
        return
    known = probes.posted(f"{url}/deployments/filter", headers, {"limit": 200})
    if known is None:
        yield fail(
            "prefect", f"{url} does not accept our credentials.", "Check PREFECT_API_AUTH_STRING or PREFECT_API_KEY."
        )
        return
    yield ok("prefect", f"{url} answers and knows us")
    yield check_deployments({str(deployment["name"]) for deployment in known})
    yield check_worker(f"{url}/work_pools/{settings.work_pool}/workers/filter", headers, place)


def check_worker(url: str, headers: dict[str, str], place: Layout) -> Finding:
    workers: list[dict[str, Any]] = probes.posted(url, headers, {}) or []
    online = sum(worker.get("status") == "ONLINE" for worker in workers)
    if not online:
        return fail("worker", "No worker is online.", LOGS.format(place.log("worker")))
    return ok("worker", f"{online} online")


def check_deployments(known: set[str]) -> Finding:
    import yaml

    catalogue = yaml.safe_load((environment.CODE / "prefect.yaml").read_text())
    missing = sorted({str(stanza["name"]) for stanza in catalogue["deployments"]} - known)
    if missing:
        return fail("deployments", f"Not registered: {', '.join(missing)}.", RESTART)
    return ok("deployments", f"all {len(catalogue['deployments'])} of prefect.yaml are registered")


def not_running() -> Finding:
    return warn("process", "KowAI is not running, so the rest was not checked.", "kowai up")
