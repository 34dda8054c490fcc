"""Let a request in: who calls, whether its tenant may work at all, and what its limits leave."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple
from uuid import UUID, uuid4, uuid5

from blocks.compiled import Compiled
from blocks.connections import database
from blocks.shared_cache import shared_cache
from kowai.addresses import network_of
from kowai.errors import Unauthenticated, Unavailable
from kowai.limits import Quota, StreamsExhausted
from kowai.settings import settings
from tasks.enter_sql import BY_GUEST, BY_KEY, BY_USER, CLOSE_STREAM, OPEN_STREAM
from tasks.rates import take_requests

STRANGERS_PER_MINUTE = 60
NOBODY = UUID(int=0)
STREAM_WAIT_SECONDS = 5


class Entrant(NamedTuple):
    """Hold who calls and what is left to them: quotas of requests, streams at once, and tokens; None is unlimited.

    Who was looked at without being counted has no quotas.
    """

    tenant_id: UUID
    id: UUID
    name: str
    role: str
    scopes: frozenset[str] | None
    quotas: tuple[Quota, ...]
    streams: tuple[int, int]
    tokens_left: int | None


async def enter_by_key(digest: str, tenant_id: UUID, *, counted: bool = True) -> Entrant:
    """Count a request by an API key. Raises Unauthenticated and TenantSuspended."""
    return await _enter(BY_KEY, tenant_id, counted, digest=digest)


async def enter_as_user(user_id: UUID, family: UUID, tenant_id: UUID, *, counted: bool = True) -> Entrant:
    """Count a request of a user whose login, a family of tokens, has not ended. Raises as above."""
    return await _enter(BY_USER, tenant_id, counted, user=user_id, family=family)


async def enter_as_guest(guest_id: UUID, name: str, role: str, tenant_id: UUID, *, counted: bool = True) -> Entrant:
    """Count a request of a user whom another system vouches for. Raises as above."""
    return await _enter(BY_GUEST, tenant_id, counted, guest=guest_id, name=name, role=role)


async def enter_unknown(address: str) -> Quota:
    """Count a request of nobody in particular against the network that it comes from."""
    (spare,) = await take_requests(NOBODY, [(uuid5(NOBODY, network_of(address)), STRANGERS_PER_MINUTE)])
    return Quota("address", STRANGERS_PER_MINUTE, spare)


async def _enter(statement: Compiled, tenant_id: UUID, counted: bool, **caller: Any) -> Entrant:
    known = settings()
    rates: dict[str, Any] = {"own_rate": known.requests_per_minute, "whole_rate": known.tenant_requests_per_minute}
    rates["count_here"] = counted and shared_cache() is None
    streams = {"own_streams": known.streams, "whole_streams": known.tenant_streams}
    async with (await database()).transaction(tenant_id, durable=False, by_key=True) as connection:
        entering = statement.later(connection, {"tenant": tenant_id, **caller, **rates, **streams})
    row = await entering.fetchone()
    if row is None:
        raise Unauthenticated("This key or login is wrong, revoked or expired.")
    spares = [spare for spare in (row.own_spare, row.whole_spare) if spare is not None]
    if counted and not rates["count_here"]:
        spares = await take_requests(tenant_id, [(row.id, row.own_rate), (tenant_id, row.whole_rate)])
    quotas = map(Quota, ("caller", "tenant"), (row.own_rate, row.whole_rate), spares)
    left = [tokens for tokens in (row.own_tokens, row.whole_tokens) if tokens is not None]
    return Entrant(
        tenant_id,
        row.id,
        row.name,
        row.role,
        None if row.scopes is None else frozenset(row.scopes),
        tuple(quotas),
        (row.own_streams, row.whole_streams),
        min(left, default=None),
    )


@asynccontextmanager
async def streaming(subject: UUID, tenant_id: UUID, limits: tuple[int, int]) -> AsyncGenerator[None]:
    """Count one stream until the block ends. Raises StreamsExhausted when so many are open that it has to wait."""
    stream = {"id": uuid4(), "tenant": tenant_id, "subject": subject}
    own, whole = limits
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        opened = OPEN_STREAM.later(connection, stream | {"own_streams": own, "whole_streams": whole})
    if not opened.rowcount:
        sentence = f"At most {own:,} answers of one caller and {whole:,} of one tenant are streamed at once."
        raise StreamsExhausted(sentence, retry_after=STREAM_WAIT_SECONDS)
    try:
        yield
    finally:
        with suppress(Unavailable):  # its lease runs out
            async with (await database()).transaction(tenant_id, durable=False) as connection:
                CLOSE_STREAM.later(connection, {"id": stream["id"]})
