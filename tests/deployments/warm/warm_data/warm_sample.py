"""Flows for the warm worker's tests; each leaves what it saw in the folder that WARM_NOTES names."""

import asyncio
import os
import random
import signal
import time
from pathlib import Path

from prefect import flow, task


def note(name: str, text: str) -> None:
    with (Path(os.environ["WARM_NOTES"]) / name).open("a") as notes:
        notes.write(text)


@task
def see() -> None:
    note("see", f"{os.environ.get('SPECIAL')} {random.random()} {os.getppid()}\n")


@flow
async def light() -> int:
    see()
    return 1


@flow(on_cancellation=[lambda flow, flow_run, state: note("cancelled", state.name)])
def block() -> None:
    note("blocking", "yes")
    time.sleep(120)


@flow(on_crashed=[lambda flow, flow_run, state: note("crashed", state.name)])
def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@flow(retries=1)
async def stumble() -> str:
    note("stumbles", "x")
    if len((Path(os.environ["WARM_NOTES"]) / "stumbles").read_text()) < 2:
        raise ValueError("once")
    return "stood"


@flow
async def nap(seconds: float) -> None:
    note("naps", "x")
    await asyncio.sleep(seconds)


@flow
async def doze() -> None:
    """Sleep long, but only the first time."""
    note("dozes", "x")
    await asyncio.sleep(300 if (Path(os.environ["WARM_NOTES"]) / "dozes").read_text() == "x" else 0)


@flow
async def meet() -> None:
    """Wait until a second run of this flow is at work."""
    note("meets", "x")
    while (Path(os.environ["WARM_NOTES"]) / "meets").read_text() == "x":
        await asyncio.sleep(0.05)


@flow
async def parent() -> None:
    note("parents", f"{os.getppid()}\n")
    await asyncio.sleep(0.5)


@flow
async def alone() -> None:
    note("alone", str(os.getppid()))


@flow(persist_result=True)
async def keep(number: int) -> dict[str, int]:
    return {"number": number + 1}


@task
def base() -> None:
    note("climb", "base ")


@task(retries=1)
def top() -> None:
    if "slip" not in (Path(os.environ["WARM_NOTES"]) / "climb").read_text():
        note("climb", "slip ")
        raise ValueError("once")
    note("climb", "top")


@flow
async def climb() -> None:
    base()
    top()
