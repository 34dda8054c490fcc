"""What the calls behind one answer used and cost together, read again from another question's or paid for this one."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.compiled import Compiled
from blocks.connections import known_embedders
from blocks.price_table import embedding_price
from kowai.types import Usage

# A reranker that bills searches counts no tokens, which is not to have forgotten them.
PAID = """
select case when count(*) = count(cost) then coalesce(sum(cost), 0) end as cost,
  case when coalesce(bool_and(counted), true) then coalesce(sum(prompt_tokens), 0) end as prompt_tokens,
  case when coalesce(bool_and(counted), true) then coalesce(sum(completion_tokens), 0) end as completion_tokens
from (
  select cost, prompt_tokens, completion_tokens,
    prompt_tokens + completion_tokens is not null or role = 'rerank' and cost is not null as counted
  from model_call where id = any(:calls) or (query_id = :query and state in ('settled', 'void'))
) calls
"""
SUMMED = Compiled(text(PAID))


class Paid(NamedTuple):
    """Hold tokens and US dollars; None is unknown, because one call's are."""

    usage: Usage
    cost: Decimal | None


def embedding_is_paid() -> bool:
    """Tell whether vectors may have cost something here."""
    return any(embedding_price(each) != 0 for each in known_embedders())


def sum_paid(
    connection: AsyncConnection, calls: Iterable[UUID], query_id: UUID | None = None
) -> psycopg.AsyncCursor[Any]:
    """Sum the calls whose replies were used, and what else was paid for the question, along with what is run next."""
    return SUMMED.later(connection, {"calls": list(calls), "query": query_id})


async def paid_in(summed: psycopg.AsyncCursor[Any]) -> Paid:
    row: Any = await summed.fetchone()
    return Paid(Usage(prompt_tokens=row.prompt_tokens, completion_tokens=row.completion_tokens), row.cost)
