"""What Prometheus scrapes, by a key that may read of the platform and nothing else."""

import time
from asyncio import gather
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from deployments.shim.identity import Principal, may
from deployments.shim.meters import REGISTRY, note
from deployments.shim.prefect_api import PrefectApi
from tasks.census import take_census

router = APIRouter(tags=["health"])

FRESH_SECONDS = 30.0  # counting reads every tenant


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request, caller: Annotated[Principal, Depends(may("platform.read"))]) -> Response:
    """Return counters of this process, and sums of all tenants' queues, questions, tokens and dollars."""
    state = request.app.state
    if time.monotonic() - getattr(state, "counted_at", -FRESH_SECONDS) >= FRESH_SECONDS:
        state.counted_at = time.monotonic()
        prefect: PrefectApi = state.prefect
        census, answers = await gather(take_census(), prefect.healthy())
        note(census, prefect_answers=answers)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)
