"""The flows of the run-start benchmark: as light as a flow with a task can be."""

import asyncio

from prefect import flow, task


@task
async def add(n: int) -> int:
    return n + 1


@flow(persist_result=False)
async def light(n: int = 1) -> int:
    return await add(n)


@flow(persist_result=False)
async def nap(seconds: float = 60) -> int:
    await asyncio.sleep(seconds)
    return await add(1)
