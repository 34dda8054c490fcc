"""Start the children as soon as they can be, keep them running, stop them in order."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from deployments.local.ahead import Ahead
from deployments.local.layout import Layout
from deployments.local.members import Member, State
from deployments.local.processes import Child, trim
from deployments.local.record import Phase, own_record, write_record
from kowai.errors import CannotStart

TICK_SECONDS = 0.05
LOG_CHECK_SECONDS = 30.0


class Reporter(Protocol):
    """Show a person what happens."""

    def started(self, name: str) -> None: ...
    def ready(self, name: str, seconds: float) -> None: ...
    def tell(self, sentence: str) -> None: ...


class Supervisor:
    """Hold the members in the order they depend on each other; call tick() often."""

    def __init__(self, children: Sequence[Child], place: Layout, reporter: Reporter) -> None:
        self.members = {child.name: Member(child, place) for child in children}
        self.place, self.reporter, self.record = place, reporter, own_record()
        self.ahead = Ahead()
        self.logs_checked = time.monotonic()

    def start_all(self, wanted_to_stop: Callable[[], bool], limit: float) -> bool:
        """Return True once all are ready, False when told to stop. Raises CannotStart, at last after `limit` s."""
        deadline = time.monotonic() + limit
        while missing := [member for member in self.members.values() if not member.is_up]:
            if wanted_to_stop():
                return False
            self.tick()
            if broken := [member for member in missing if member.state == "failing"]:
                raise CannotStart(f"KowAI cannot start: {broken[0].sentence}")
            if time.monotonic() > deadline:
                names = ", ".join(member.child.name for member in missing)
                raise CannotStart(f"Not ready after {limit:.0f} seconds: {names}. See {self.place.root / 'logs'}.")
            time.sleep(TICK_SECONDS)
        return True

    def tick(self) -> None:
        """Notice deaths, start what may start, notice readiness, bound the logs."""
        for member in self.members.values():
            if (code := member.exit_code()) is not None:
                self._settle(member, code)
            elif member.state == "starting" and member.is_ready():
                self._arrive(member, "ready")
            elif member.state in ("waiting", "restarting", "failing"):
                self._start_if_due(member)
        if time.monotonic() - self.logs_checked > LOG_CHECK_SECONDS:
            self.logs_checked = time.monotonic()
            for log in (log for member in self.members.values() for log in member.logs):
                trim(log)

    def stop_all(self, hurry: Callable[[], bool]) -> None:
        """Stop the members, the last one first, each within a bound."""
        for member in reversed(self.members.values()):
            if member.runs:
                self.reporter.tell(f"Stopping {member.child.name} ...")
            member.stop(hurry)
            self.save()

    def enter(self, phase: Phase, sentence: str | None = None) -> None:
        self.record.phase, self.record.sentence = phase, sentence
        self.save()

    def save(self) -> None:
        self.record.processes = [entry for member in self.members.values() if (entry := member.record())]
        with contextlib.suppress(OSError):  # on a full disk the last record stays
            write_record(self.place.record, self.record)

    def _start_if_due(self, member: Member) -> None:
        needed = (self.members[name] for name in member.child.after if name in self.members)
        awaited = time.monotonic() < member.due or not all(other.is_up for other in needed)
        if not awaited and self.ahead.is_ready(member.child):
            try:
                member.start(self.ahead.fork)
            except (OSError, CannotStart) as error:  # a full disk must not bring down what still runs
                member.postpone(f"{member.child.name} could not be started: {error}")
                self._regret(member)
                return
            self.save()
            self.reporter.started(member.child.name)

    def _settle(self, member: Member, code: int) -> None:
        if member.child.once and code == 0:
            self._arrive(member, "done")
            return
        member.bury(code)
        self._regret(member)

    def _regret(self, member: Member) -> None:
        self.save()
        self.reporter.tell(f"{member.sentence}; next try in {member.due - time.monotonic():.1f} s.")

    def _arrive(self, member: Member, state: State) -> None:
        member.state, member.sentence = state, ""
        self.save()
        self.reporter.ready(member.child.name, time.monotonic() - member.began)
