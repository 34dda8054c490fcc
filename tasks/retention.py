"""For how long replaced versions are kept: everybody's policy, a tenant's own, and certificates of what went by it."""

from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import delete, select, text
from sqlalchemy.dialects import postgresql
from sqlmodel import col

from blocks.connections import database
from kowai import erasure, history
from kowai.settings import settings
from kowai.tables.policies import Retention as Row
from kowai.types import Value
from tasks.forget import certify
from tasks.step import step

MOST_VERSIONS, MOST_DAYS = 100_000, 36_500
BY_RETENTION = "\0retention"  # what its certificates hash: no document can be called that


class Retention(Value):
    """Keep the newest `versions` of a document, and a replaced one for `days`; null keeps all of them, for ever."""

    keep_versions: int | None = Field(None, ge=1, le=MOST_VERSIONS, description="Versions of a document; null: all.")
    keep_days: int | None = Field(None, ge=1, le=MOST_DAYS, description="Days a replaced one is kept; null: for ever.")


class RetentionView(Retention):
    """Show what holds; `own` says whether the tenant has said so itself."""

    own: bool


async def retention_of(tenant_id: UUID) -> RetentionView:
    """Return what holds for a tenant: what it has said itself, and else what the process was started with."""
    mine = select(col(Row.keep_versions), col(Row.keep_days)).where(col(Row.tenant_id) == tenant_id)
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        row = (await connection.execute(mine)).one_or_none()
    if row is not None:
        return RetentionView(keep_versions=row.keep_versions, keep_days=row.keep_days, own=True)
    return RetentionView(keep_versions=settings().keep_versions, keep_days=settings().keep_days, own=False)


@step
async def set_retention(wanted: Retention | None, tenant_id: UUID) -> RetentionView:
    """Let a tenant keep versions as it wants; None: as everybody does. The next reconciling goes by it."""
    statement: Any = delete(Row).where(col(Row.tenant_id) == tenant_id)
    if wanted is not None:
        values = wanted.model_dump()
        statement = postgresql.insert(Row).values(tenant_id=tenant_id, **values)
        statement = statement.on_conflict_do_update(index_elements=["tenant_id"], set_=values)
    async with (await database()).transaction(tenant_id, even_suspended=True) as connection:
        await connection.execute(statement)
    return await retention_of(tenant_id)


@step
async def retire_versions(tenant_id: UUID, *, versions: int | None, days: int | None) -> int:
    """Delete versions beyond the newest `versions`, or replaced more than `days` ago; return how many went.

    None keeps all; the current version always stays. A certificate counts what went.
    """
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(text(erasure.HOLD))
        retired = await connection.execute(text(history.RETIRE), {"versions": versions, "days": days})
        counts = dict(retired.mappings().one())
        if counts["versions"]:
            await connection.execute(text(history.RETIRE_CHUNKS))
            facts = {"document_id": None, "requested_by": None, "counts": counts}
            await certify(connection, facts | {"name_hash": erasure.name_hash(tenant_id, BY_RETENTION)}, tenant_id)
    return counts["versions"]
