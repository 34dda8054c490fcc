"""Draw a suite from production: what was disliked, unsure, refused or failed, each question once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database
from kowai.errors import InvalidInput
from kowai.metrics import uncited
from kowai.suites import ParsedSuite, collected
from tasks.step import step

UNSURE = 0.5
LIKED = "liked"

SELECT = """
select distinct on (lower(q.text)) q.id, q.text, q.persona, a.text as answer, a.citations
from query q left join answer a on a.query_id = q.id {join}
where q.created_at > now() - make_interval(days => :days) and q.persona <> 'auto' and ({condition})
  and not exists (select from batch_item i where i.id = q.id)
order by lower(q.text), q.created_at desc limit :limit
"""
FEEDBACK = "join feedback f on f.query_id = q.id"
SOURCES = {
    LIKED: (FEEDBACK, "f.rating = 'up' and not a.abstained"),
    "disliked": (FEEDBACK, "f.rating = 'down'"),
    "unsure": ("", f"q.status = 'done' and (a.abstained or a.confidence < {UNSURE})"),
    "failed": ("", "q.status in ('failed', 'refused')"),
}


@step
async def draw_suite(name: str, sources: Sequence[str], days: int, limit: int, *, tenant_id: UUID) -> ParsedSuite:
    """Return a suite of the questions of the last `days`, tagged by why they are in it.

    Raises InvalidInput for an unknown source, and NoCases when nothing is there to be drawn.
    """
    unknown = [source for source in sources if source not in SOURCES]
    if unknown:
        raise InvalidInput(f"There is no source '{unknown[0]}'; choose of {', '.join(SOURCES)}.")
    drawn: dict[str, dict[str, Any]] = {}
    async with (await database()).transaction(tenant_id) as connection:
        for source in sources:
            join, condition = SOURCES[source]
            statement = text(SELECT.format(join=join, condition=condition))
            for row in await connection.execute(statement, {"days": days, "limit": limit}):
                case = drawn.setdefault(row.text.lower(), _case(row, source))
                case["tags"].append(source)
    cases = list(drawn.values())[:limit]
    about = {"name": name, "description": f"Drawn from the last {days} days: {', '.join(sources)}."}
    return collected(about, [(f"Question {case['id']}", case) for case in cases])


def _case(row: Any, source: str) -> dict[str, Any]:
    """Return the case; a liked answer is what is expected, of any other nobody knows yet what would have been right."""
    tags: list[str] = []
    case: dict[str, Any] = {"id": str(row.id), "question": row.text, "persona": row.persona, "tags": tags}
    if source != LIKED:
        return case
    cited = [citation["external_id"] for citation in row.citations]
    return case | {"answers": [uncited(row.answer)], "documents": dict.fromkeys(cited, 1)}
