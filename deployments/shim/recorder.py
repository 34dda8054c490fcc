"""Runs that ended in this process on their way to Prefect: kept at once, told when there is time."""

import asyncio
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog

from deployments.shim.prefect_api import PrefectApi, Refused, StateType
from deployments.shim.records import Ended, RunRecord, tell
from kowai.errors import KowaiError, Unavailable
from tasks import outbox
from tasks.endings import find_ending
from tasks.record import close_crashed

log = structlog.get_logger()

KIND = "flow-run"
SWEEP_SECONDS = 15.0
LEAST_PAUSE_SECONDS = 2.0  # between two tellings while questions are answered
QUIET_SECONDS = 5.0  # without a question: no more are coming
BURST_SECONDS = 60.0  # of questions without a quiet between them, in which nothing is told that there is no pause for
POLL_SECONDS = 0.1
SHARE = 0.1  # of the time, at most, that Prefect is being told while questions are answered
RETRY_SECONDS = 1.0
AT_ONCE = 50  # runs that Prefect takes by one call
STATES: dict[str, StateType] = {"done": "COMPLETED", "refused": "COMPLETED", "failed": "FAILED", "stopped": "CANCELLED"}

Entry = tuple[UUID, UUID]  # subject and tenant


class Apart(Exception):
    """Prefect refused a call for many runs: each has to be told alone."""


class Recorder:
    """Keep the records of runs that ended, and deliver them to Prefect many at a time, for as long as it takes.

    An answer waits for neither: until a record is kept, the one that its run began with is in the outbox.
    """

    def __init__(self, prefect: PrefectApi) -> None:
        self._working, self._rests_since, self._busy_since = 0, 0.0, 0.0
        self._seconds_each = 0.0  # that the runs told last have taken
        self._prefect = prefect
        self._ended: list[Ended] = []
        self._some_ended = asyncio.Event()
        self._kept: asyncio.Queue[Entry] = asyncio.Queue()

    def begin(self) -> None:
        """Note that a run is under way in this process."""
        now = time.monotonic()
        if not self._working and now - self._rests_since >= QUIET_SECONDS:
            self._busy_since = now
        self._working += 1

    def end(self, ended: Ended) -> None:
        """Take over the record of a run that is no longer under way."""
        self._working, self._rests_since = self._working - 1, time.monotonic()
        self._ended.append(ended)
        self._some_ended.set()

    async def serve(self) -> None:
        """Keep what ends, tell Prefect when there is time, and sweep the outbox for what was left behind."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_on())
                group.create_task(self._tell_on())
        finally:
            await self.keep()

    async def keep(self) -> None:
        """Make the records of ended runs due, a transaction a tenant; those that cannot be kept now stay."""
        for tenant_id in {each.tenant_id for each in self._ended}:
            own = [each for each in self._ended if each.tenant_id == tenant_id]
            try:
                await outbox.put(KIND, [each.entry() for each in own], tenant_id, durable=False)
            except KowaiError as error:
                log.warning("records not kept", runs=len(own), code=error.code)
                continue
            self._ended = [each for each in self._ended if each not in own]
            for each in own:
                self._kept.put_nowait((each.subject_id, tenant_id))

    async def _keep_on(self) -> None:
        while True:
            await self._some_ended.wait()
            self._some_ended.clear()
            await self.keep()
            if self._ended:
                self._some_ended.set()
            await asyncio.sleep(RETRY_SECONDS)

    async def _tell_on(self) -> None:
        while True:
            try:
                async with asyncio.timeout(SWEEP_SECONDS):
                    entries = [await self._kept.get()]
            except TimeoutError:
                entries = await _left_behind()
            while entries:
                await self._wait_for_quiet(len(entries))
                while not self._kept.empty():
                    entries.append(self._kept.get_nowait())
                await self._deliver_some(entries[:AT_ONCE])
                entries = entries[AT_ONCE:]

    async def _wait_for_quiet(self, entries: int) -> None:
        """Let answers go first: telling Prefect costs it more than answering costs us."""
        began = time.monotonic()
        while True:
            now, runs = time.monotonic(), min(AT_ONCE, entries + self._kept.qsize())
            rested = None if self._working else now - self._rests_since
            waited, busy = now - began, now - self._busy_since
            if is_time_to_tell(runs * self._seconds_each, waited=waited, busy=busy, rested=rested):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _deliver_some(self, entries: Sequence[Entry]) -> None:
        began = time.monotonic()
        for tenant_id, own in groupby(sorted(entries, key=_tenant), key=_tenant):
            await self.deliver([subject_id for subject_id, _ in own], tenant_id)
        self._seconds_each = (time.monotonic() - began) / len(entries)

    async def deliver(self, subject_ids: Sequence[UUID], tenant_id: UUID) -> None:
        """Tell Prefect about a tenant's entries; those that fail are put off and delivered by a later sweep."""
        try:
            async with outbox.delivery(subject_ids, tenant_id) as held:
                await self._tell(held, tenant_id)
        except Apart:
            for subject_id in subject_ids:
                await self.deliver([subject_id], tenant_id)
        except Exception as error:
            log.warning("runs not recorded", runs=len(subject_ids), error=repr(error))

    async def _tell(self, held: outbox.Held, tenant_id: UUID) -> None:
        records = {subject: await _known(payload, subject, tenant_id) for subject, payload in held.payloads.items()}
        try:
            runs = await tell(self._prefect, records) if records else {}
        except Refused as error:
            if len(records) > 1:
                raise Apart from error
            raise
        for subject in runs:
            if records[subject].state == "CRASHED":
                await close_crashed(subject, tenant_id, records[subject].message)
        if runs:
            await outbox.note_runs(held.connection, runs)
        held.delivered.update(runs)


def is_time_to_tell(seconds: float, *, waited: float, busy: float, rested: float | None) -> bool:
    """Decide whether to tell what takes so many seconds: after a quiet that is the longer the more they are.

    `rested` is how long no question has been answered, None while one is; `busy` how long it is since the last quiet.
    Where there is none, a burst of questions is let pass, and a longer one gives up its SHARE of the time.
    """
    pause = seconds / SHARE
    if rested is not None and rested >= min(QUIET_SECONDS, pause):
        return True
    return busy >= BURST_SECONDS and waited >= max(LEAST_PAUSE_SECONDS, pause)


def _tenant(entry: Entry) -> UUID:
    return entry[1]


async def _known(payload: Any, subject_id: UUID, tenant_id: UUID) -> RunRecord:
    """Return the record, of a run whose process died after it had done its work as the work's own row tells it."""
    record = RunRecord.model_validate(payload)
    ending = await find_ending(subject_id, tenant_id) if record.state == "CRASHED" else None
    if ending is None:
        return record
    told: dict[str, Any] = {"state": STATES[ending.status], "ended_at": ending.ended_at}
    return record.model_copy(update=told | {"message": f"It ended as {ending.status}; its steps are not known."})


async def _left_behind() -> list[Entry]:
    try:
        return await outbox.due(KIND)
    except Unavailable:
        return []
