"""What was known: replaced versions are put away, and a past day is searched."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai import history
from kowai.filters import checked_filters
from kowai.types import Passage

TITLES = """
select document_id, version, title from document_version
where (document_id, version) in (select * from unnest(cast(:documents as uuid[]), cast(:versions as integer[])))
"""


async def keep_past(connection: AsyncConnection, document_ids: Sequence[UUID]) -> None:
    """Copy the documents' chunks to where they can be found as of a day, before they are deleted."""
    await connection.execute(text(history.KEEP), {"documents": list(document_ids)})


@asynccontextmanager
async def knowledge_of(connection: AsyncConnection, moment: datetime) -> AsyncGenerator[None]:
    """Let the statements of a search see what was known at a moment."""
    await connection.execute(text(history.SHOW), {"moment": moment.isoformat()})
    yield
    await connection.execute(text(history.HIDE))


async def titled(connection: AsyncConnection, passages: Sequence[Passage]) -> list[Passage]:
    """Give passages the titles that their versions had."""
    named = {"documents": [one.document_id for one in passages], "versions": [one.version for one in passages]}
    found = await connection.execute(text(TITLES), named)
    titles = {(document_id, version): title for document_id, version, title in found.all()}
    return [one.model_copy(update={"title": titles[one.document_id, one.version]}) for one in passages]


async def note_on(filters: Mapping[str, Any], tenant_id: UUID) -> str | None:
    """Say, in a sentence, what retention has taken from the knowledge of `as_of`; None where it is whole."""
    moment = checked_filters(filters).as_of if "as_of" in filters else None
    if moment is None:
        return None
    async with (await database()).transaction(tenant_id) as connection:
        missing = await connection.scalar(text(history.GAPS), {"moment": moment})
    if not missing:
        return None
    held = "1 document" if missing == 1 else f"{missing:,} documents"
    return f"The knowledge of that day is no longer whole: what {held} said then has been removed by retention."
