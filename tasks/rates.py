"""Count requests: in Redis, which several shims share, and in PostgreSQL where there is no Redis or it is away."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from blocks.connections import database
from blocks.shared_cache import CacheAway, shared_cache
from kowai.limits import TAKE_REQUESTS

HERE = text("select take_request(:tenant, :subject, :rate)")

Rates = Sequence[tuple[UUID, int]]


async def take_requests(tenant_id: UUID, rates: Rates) -> list[timedelta]:
    """Count a request against each subject's rate a minute, until one has nothing left; return what each has left.

    Going over from one store to the other forgives the requests of the last minute at most.
    """
    cache = shared_cache()
    if cache is not None:
        keys = [f"kowai:rate:{{{tenant_id}}}:{subject}" for subject, _ in rates]  # braces: one slot of a cluster
        with suppress(CacheAway):
            left = await cache.run(TAKE_REQUESTS, keys, [rate for _, rate in rates])
            return [timedelta(microseconds=spare) for spare in left]
    spares: list[timedelta] = []
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        for subject, rate in rates:
            wanted = {"tenant": tenant_id, "subject": subject, "rate": rate}
            spares.append((await connection.execute(HERE, wanted)).scalar_one())
            if spares[-1] < timedelta(0):
                break
    return spares
