"""The schema that migrations make is the one the tables declare, and each tenant's rows are locked twice."""

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import insert, text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import select

from blocks.database import Database
from deployments.migrate import configuration
from kowai.errors import TenantMissing
from kowai.tables.evaluations import SuiteRow
from kowai.tables.identity import ApiKey
from kowai.tables.ingestion import Source
from kowai.tables.versions import Optimisation
from tests.flows.conftest import learn_tea
from tests.flows.test_run_personas import batch_of

UNLOCKED = """
select c.relname from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
  and not (c.relrowsecurity and c.relforcerowsecurity and exists (select from pg_policy p where p.polrelid = c.oid))
"""
ROLE = "select rolsuper, rolbypassrls from pg_roles where rolname = 'kowai_app'"


def test_migrations_and_tables_agree(database_url: str) -> None:
    command.check(configuration(database_url))


def test_a_search_reads_postings_from_their_index_alone(database_url: str) -> None:
    """Alembic compares no primary keys, so what the table declares is looked for here."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("select pg_get_indexdef('posting_pkey'::regclass)").fetchone()
    assert row is not None
    assert row[0].endswith("(tenant_id, term, chunk_id) INCLUDE (frequency, length)")


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    command.upgrade(configuration(database_url), "head")


def test_every_table_of_tenants_forces_row_level_security(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute(UNLOCKED).fetchall() == []


def test_the_application_role_cannot_bypass_row_level_security(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert connection.execute(ROLE).fetchone() == (False, False)


async def test_one_tenant_never_sees_anothers_rows(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Source).values(tenant_id=tenant, uri="mine"))
    async with store.transaction(other_tenant) as connection:
        assert (await connection.execute(select(Source))).all() == []
    async with store.transaction(tenant) as connection:
        assert len((await connection.execute(select(Source))).all()) == 1


async def test_a_row_for_another_tenant_is_refused(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with store.transaction(tenant) as connection:
            await connection.execute(insert(Source).values(tenant_id=other_tenant, uri="theirs"))


async def test_a_missing_tenant_is_an_error_and_never_everything(store: Database, tenant: UUID) -> None:
    with pytest.raises(TenantMissing):
        async with store.transaction(None):
            pass
    async with store.transaction(tenant) as connection:
        await connection.execute(insert(Source).values(id=uuid4(), tenant_id=tenant, uri="mine"))
    with pytest.raises(ProgrammingError, match="no tenant is set"):
        async with store.platform_transaction() as connection:
            await connection.execute(text("select * from source"))


# All that a downgrade keeps: it forgets when and why somebody decided, and the quotes of other workflows.
KEPT = (
    "select id, quote, state, decided_by from approval",
    "select id, status, dry_run from batch",
    "select id, name, scopes from api_key",
    "select outcome, persona, optimiser from optimisation",
    "select tenant_id, band, document_id from sketch_band",
    "select chunk_id, space_id, tenant_id, embedding::text from chunk_vector",
    "select id, model, dimensions, embedder, state from embedding_space",
)


def kept(url: str) -> list[list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return [connection.execute(f"{select} order by 1, 2, 3").fetchall() for select in KEPT]


async def test_the_newest_migrations_go_down_and_up_again_with_all_that_is_stored(
    store: Database, database_url: str, tenant: UUID, other_tenant: UUID, tmp_path: Path
) -> None:
    for owner in (tenant, other_tenant):
        await learn_tea(owner, tmp_path / "documents")
        _, second, third, _ = [await batch_of(["Why?"], ["assistant"], owner, dry_run=dry) for dry in (0, 0, 0, 1)]
        suite = SuiteRow(tenant_id=owner, name="teas", version=1, digest="d", cases=0, origin="here")
        search = Optimisation(tenant_id=owner, suite_id=suite.id, persona="analyst", optimiser="few", outcome="broken")
        scoped = {"name": "a", "role": "admin", "digest": f"{owner}", "scopes": ["spending.approve", "questions.ask"]}
        async with store.transaction(owner) as connection:
            for row in (suite, search, ApiKey(tenant_id=owner, **scoped)):
                await connection.execute(insert(type(row)).values(row.model_dump(exclude_none=True)))
            for batch, status, state in ((second, "waiting", "waiting"), (third, "declined", "declined")):
                await connection.execute(text(f"update batch set status = '{status}' where id = '{batch}'"))
                changed = f"update approval set state = '{state}', decided_by = null where id = '{batch}'"
                await connection.execute(text(changed))
            await connection.execute(
                text("update approval set quote = quote || '{\"needs_approval\": true}' where state = 'waiting'")
            )
    before = kept(database_url)
    assert all(before)
    command.downgrade(configuration(database_url), "0035")
    command.upgrade(configuration(database_url), "head")
    for found, expected in zip(kept(database_url), before, strict=True):
        assert found == expected
    command.check(configuration(database_url))
