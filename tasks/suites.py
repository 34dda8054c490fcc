"""Suites: stored once for each content, under a name with versions that never change."""

from functools import cache
from importlib.resources import files
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import sqlalchemy
from sqlalchemy import func, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import NotFound
from kowai.suite_formats import read_suite as read_suite_file
from kowai.suites import About, Case, Suite
from kowai.tables.batches import QuestionSet, SetQuestion
from kowai.tables.evaluations import SuiteCase, SuiteRow
from tasks.step import step

AT_ONCE = 2_000
SHIPPED = "shipped"
ALONE = text("select pg_advisory_xact_lock(4072003, hashtext(:name))")
CASES = text("""
select c.content from suite_case c join set_question q on q.question_set_id = c.suite_id and q.key = c.key
where c.suite_id = :suite order by q.ordinal
""")


@step
async def receive_suite(suite: Suite, origin: str, tenant_id: UUID) -> UUID:
    """Store the suite as its name's next version and return its id; a content that is there already is that version."""
    name = suite.about.name
    same = (col(SuiteRow.name) == name, col(SuiteRow.digest) == suite.digest)
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(ALONE, {"name": f"{tenant_id} {name}"})
        known = await connection.scalar(select(col(SuiteRow.id)).where(*same))
        return known or await _store(connection, suite, origin[:200], tenant_id)


async def _store(connection: AsyncConnection, suite: Suite, origin: str, tenant_id: UUID) -> UUID:
    suite_id, name = uuid4(), suite.about.name
    latest = select(func.coalesce(func.max(col(SuiteRow.version)), 0)).where(col(SuiteRow.name) == name)
    version = (await connection.scalar(latest) or 0) + 1
    about = {"id": suite_id, "tenant_id": tenant_id}
    row = about | {"name": name, "version": version, "digest": suite.digest, "cases": len(suite.cases)}
    described = suite.about.model_dump(mode="json")
    named = f"suite {name}, version {version}"
    await connection.execute(postgresql.insert(SuiteRow).values(**row, about=described, origin=origin))
    await connection.execute(postgresql.insert(QuestionSet).values(**about, name=named))
    for start in range(0, len(suite.cases), AT_ONCE):
        chosen = list(enumerate(suite.cases[start : start + AT_ONCE], start))
        cases: list[dict[str, Any]] = [
            {"tenant_id": tenant_id, "suite_id": suite_id, "key": case.id, "content": case.model_dump(mode="json")}
            for _, case in chosen
        ]
        questions: list[dict[str, Any]] = [
            {"tenant_id": tenant_id, "question_set_id": suite_id, "ordinal": n, "key": case.id, "text": case.question}
            for n, case in chosen
        ]
        await connection.execute(postgresql.insert(SuiteCase), cases)
        await connection.execute(postgresql.insert(SetQuestion), questions)
    return suite_id


@step
async def find_suite(name: str, tenant_id: UUID, *, only_quoted: bool = False) -> UUID:
    """Return the id of the suite with that id, or of the newest of that name, or a shipped one's. Raises NotFound.

    A shipped suite is stored when it is first used; one that is `only_quoted` goes by an id that `read_suite` knows.
    """
    async with (await database()).transaction(tenant_id) as connection:
        newest = select(col(SuiteRow.id)).order_by(col(SuiteRow.version).desc()).limit(1)
        known = await connection.scalar(newest.where(_named(name)))
        if known is not None:
            return known
        if name not in (own := shipped_ids()).values():
            raise NotFound(f"There is no suite '{name}'.")
        if only_quoted:
            return next(suite_id for suite_id, each in own.items() if each == name)
        await connection.execute(ALONE, {"name": f"{tenant_id} {name}"})
        return await connection.scalar(newest.where(_named(name))) or await _store(
            connection, _shipped(name), SHIPPED, tenant_id
        )


@cache
def shipped_ids() -> dict[UUID, str]:
    """Return the names of the shipped suites by the ids that they go by while nobody has stored them."""
    names = [file.name.removesuffix(".yaml") for file in files("kowai.suites").iterdir() if file.name.endswith(".yaml")]
    return {uuid5(NAMESPACE_URL, f"kowai:suites/{name}"): name for name in sorted(names)}


def _shipped(name: str) -> Suite:
    file = f"{name}.yaml"
    return read_suite_file({file: (files("kowai.suites") / file).read_bytes()}, name).suite


async def read_suite(connection: AsyncConnection, suite_id: UUID) -> Suite:
    """Return a stored suite, or a shipped one that is not stored, its cases in order. Raises NotFound."""
    if (name := shipped_ids().get(suite_id)) is not None:
        return _shipped(name)
    about = await about_suite(connection, suite_id)
    contents = await connection.scalars(CASES, {"suite": suite_id})
    return Suite(about=about, cases=tuple(Case.model_validate(content) for content in contents))


def _named(name: str) -> Any:
    try:
        return col(SuiteRow.id) == UUID(name)
    except ValueError:
        return col(SuiteRow.name) == name


@step
async def newest_suites(tenant_id: UUID) -> list[UUID]:
    """Return the newest version of every suite that the tenant has ever stored."""
    newest = select(col(SuiteRow.id)).distinct(col(SuiteRow.name))
    ordered = newest.order_by(col(SuiteRow.name), col(SuiteRow.version).desc())
    async with (await database()).transaction(tenant_id) as connection:
        return list((await connection.scalars(ordered)).all())


async def list_suites(tenant_id: UUID, *, limit: int = 1000) -> list[dict[str, Any]]:
    """Return the tenant's suites, newest first."""
    names = ("id", "name", "version", "cases", "origin", "created_at")
    columns: list[Any] = [getattr(SuiteRow, name) for name in names]
    newest = sqlalchemy.select(*columns).order_by(col(SuiteRow.created_at).desc()).limit(limit)
    async with (await database()).transaction(tenant_id) as connection:
        return [dict(row) for row in (await connection.execute(newest)).mappings()]


async def about_suite(connection: AsyncConnection, suite_id: UUID) -> About:
    """Return what the suite says about all of its cases. Raises NotFound."""
    about = await connection.scalar(select(col(SuiteRow.about)).where(col(SuiteRow.id) == suite_id))
    if about is None:
        raise NotFound(f"There is no suite {suite_id}.")
    return About.model_validate(about)
