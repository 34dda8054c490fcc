"""What begins an ingestion, through whichever route it is asked for."""

from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, NamedTuple
from uuid import UUID

from fastapi import Request, Response

from deployments.shim.identity import Principal
from deployments.shim.ledgers import Ledger, read_ledger
from deployments.shim.repeats import Repeats, awaited
from deployments.shim.runs import Opening, Runs
from flows.ingest import ingest_stored
from tasks.idempotency import Claim
from tasks.receive import receive_ingestion

DEPLOYMENT = "ingest-stored/ingest-stored"

Mode = Literal["sync", "background"]


class Wanted(NamedTuple):
    """Hold what is to be ingested and the route that it was sent to."""

    route: str
    sources: list[dict[str, Any]]
    mode: Mode


async def ingest_once(
    wanted: Wanted, caller: Principal, repeats: Repeats, *, request: Request, response: Response
) -> Ledger:
    """Ingest now, in this process, or hand it to a worker; a request that comes again is told of the first one's."""
    runs: Runs = request.app.state.runs
    background = wanted.mode == "background"
    opened = Opening(DEPLOYMENT, caller.tenant_id, datetime.now(UTC), "SCHEDULED" if background else "CRASHED")

    async def receive(claimed: Claim | None) -> UUID:
        along = opened._replace(claimed=claimed).along("ingestion_id")
        return await receive_ingestion(wanted.sources, caller.tenant_id, along=along)

    ingestion_id, earlier = await repeats.once([*wanted], caller, receive)
    subject = {"tenant_id": caller.tenant_id, "ingestion_id": ingestion_id}
    if background:
        await runs.start(DEPLOYMENT, opened=opened, **subject)
    elif not earlier:
        await runs.run(ingest_stored, DEPLOYMENT, opened=opened, **subject)
    read = partial(read_ledger, ingestion_id, caller.tenant_id)
    ledger = await awaited(read, lambda found: background or found.finished_at is not None)
    if background or ledger.finished_at is None:
        response.status_code = 202
    return ledger
