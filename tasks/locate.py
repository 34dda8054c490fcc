"""Say where on its pages a text stands that is cited or found."""

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.layout import boxes
from kowai.types import Box, Citation, PageSpan, Passage

LAYOUTS = text("""
select wanted.number, page.span, v.layout[page.place] as layout
from unnest(cast(:documents as uuid[]), cast(:versions as integer[]), cast(:starts as integer[]),
  cast(:ends as integer[])) with ordinality as wanted(document_id, version, start_char, end_char, number)
join document_version as v using (document_id, version)
cross join lateral jsonb_array_elements(v.pages) with ordinality as page(span, place)
where v.layout is not null and (page.span->>1)::int < wanted.end_char and (page.span->>2)::int > wanted.start_char
order by wanted.number, page.place
""")

Placed = TypeVar("Placed", Citation, Passage)


async def located(connection: AsyncConnection, texts: Sequence[Placed]) -> list[Placed]:
    """Return the tenant's citations or passages with the boxes of their lines, None where no layout is known."""
    numbers = [number for number, one in enumerate(texts) if one.page is not None]
    if not numbers:
        return list(texts)
    paged = [texts[number] for number in numbers]
    wanted = {
        "documents": [one.document_id for one in paged],
        "versions": [one.version for one in paged],
        "starts": [one.start for one in paged],
        "ends": [one.end for one in paged],
    }
    found: dict[int, list[Box]] = {}
    rows: Sequence[Any] = (await connection.execute(LAYOUTS, wanted)).all()
    for row in rows:
        number = numbers[int(row.number) - 1]
        lines = boxes(row.layout, PageSpan(*row.span), texts[number].start, texts[number].end)
        found.setdefault(number, []).extend(lines)
    return [one.model_copy(update={"boxes": tuple(found.get(n, ())) or None}) for n, one in enumerate(texts)]


async def locate(texts: Sequence[Placed], tenant_id: UUID) -> list[Placed]:
    """Do the same in a transaction of its own, if one is needed."""
    if all(one.page is None for one in texts):
        return list(texts)
    async with (await database()).transaction(tenant_id) as connection:
        return await located(connection, texts)
