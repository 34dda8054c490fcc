"""What a caller's own key for a request stands for, so that a request that is sent again is not carried out again.

Follows the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header-07): another request under a key is 422,
and one that comes while the first is being carried out waits for it, or is 409. A key stands for its request for a day.
"""

import asyncio
import hashlib
import json
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from blocks.connections import database
from kowai.errors import KowaiError
from kowai.reconciling import KEY_LIFE
from tasks.outbox import Along

PATIENCE_SECONDS = 10.0
PAUSE_SECONDS = 0.05

# Free again, also for another request: a key past its life, a claim that its process did not live to settle in a
# minute, and the key of a question that nobody answered, which may be asked again.
CLAIM = text(f"""
insert into idempotency_key as k (id, tenant_id, request, leased_until)
values (:id, :tenant_id, :request, clock_timestamp() + interval '1 minute')
on conflict (id) do update
  set request = excluded.request, leased_until = excluded.leased_until, outcome = null, created_at = now()
  where k.created_at < now() - {KEY_LIFE} or (k.outcome is null and k.leased_until < clock_timestamp())
    or exists (select from query q where q.id = k.outcome and q.status in ('failed', 'stopped'))
returning leased_until
""")  # noqa: S608 -- a constant is put into the text
READ = text("select request, outcome from idempotency_key where id = :id")
SETTLE = text("""
update idempotency_key set outcome = :outcome where id = :id and outcome is null and leased_until = :leased_until
""")
RELEASE = text("delete from idempotency_key where id = :id and outcome is null and leased_until = :leased_until")


class KeyReused(KowaiError):
    """Say that a key already stands for another request of the same caller."""

    code, http_status = "idempotency_key_reused", 422


class StillInProgress(KowaiError):
    """Say that the first request under a key is still being carried out."""

    code, http_status, retryable = "idempotency_in_progress", 409, True


class Claim(NamedTuple):
    """Hold a key that this process may settle until its lease ends."""

    id: UUID
    leased_until: Any


def fingerprint(request: Any) -> str:
    """Return what tells requests apart: the SHA-256 of their canonical JSON."""
    return hashlib.sha256(json.dumps(request, sort_keys=True, default=str).encode()).hexdigest()


async def claim(key: str, request: Any, caller_id: UUID, tenant_id: UUID) -> Claim | UUID:
    """Return the right to carry out a request, or the outcome of the one that the key already stands for.

    Raises KeyReused and StillInProgress.
    """
    identity = uuid5(caller_id, f"{tenant_id} {key}")
    values = {"id": identity, "tenant_id": tenant_id, "request": fingerprint(request)}
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                async with (await database()).transaction(tenant_id) as connection:
                    lease = await connection.scalar(CLAIM, values)
                    if lease is not None:
                        return Claim(identity, lease)
                    known = (await connection.execute(READ, {"id": identity})).one_or_none()
                if known is not None and known.request != values["request"]:
                    raise KeyReused("This Idempotency-Key was sent with another request: choose a new one.")
                if known is not None and known.outcome is not None:
                    return known.outcome
                await asyncio.sleep(PAUSE_SECONDS)
    except TimeoutError as error:
        raise StillInProgress("The first request with this Idempotency-Key is still being carried out.") from error


def settling(claimed: Claim | None) -> Along:
    """Return what notes in an effect's transaction that the key stands for it. It raises StillInProgress if late."""

    async def settle(connection: AsyncConnection, outcome: UUID) -> None:
        if claimed is not None:
            settled = await connection.execute(SETTLE, {**claimed._asdict(), "outcome": outcome})
            if not settled.rowcount:
                raise StillInProgress("This took too long, and another request with its key has taken over.")

    return settle


async def release(claimed: Claim, tenant_id: UUID) -> None:
    """Let the key be used again, as its request could not be carried out."""
    async with (await database()).transaction(tenant_id) as connection:
        await connection.execute(RELEASE, claimed._asdict())
