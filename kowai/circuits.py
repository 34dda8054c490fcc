"""The circuit breaker: leave a failing target alone, then let one caller find out whether it is back."""

from threading import Lock

THRESHOLD = 2
COOLDOWN_SECONDS = 30.0
LONGEST_SECONDS = 120.0


class Circuit:
    """Count one target's failures in a row; `now` is a monotonic clock in seconds, and the caller's."""

    def __init__(self, threshold: int = THRESHOLD, cooldown: float = COOLDOWN_SECONDS) -> None:
        self._threshold, self._cooldown = threshold, cooldown
        self._failures, self._trips = 0, 0
        self._opens_until: float | None = None
        self._probing = False
        self._lock = Lock()

    def enter(self, now: float) -> bool:
        """Tell whether a call may go through; after a rest exactly one may, until it is known how that one ended."""
        with self._lock:
            if self._opens_until is None:
                return True
            if now < self._opens_until or self._probing:
                return False
            self._probing = True
            return True

    def succeed(self) -> None:
        with self._lock:
            self._failures, self._trips, self._opens_until, self._probing = 0, 0, None, False

    def fail(self, now: float, retry_after: float | None = None) -> None:
        """Count a failure; rest at the threshold, after a failed probe, or as long as the server asks."""
        with self._lock:
            self._failures += 1
            if self._failures < self._threshold and not self._probing and not retry_after:
                return
            rest = retry_after or self._cooldown * 2**self._trips
            self._opens_until = now + min(rest, LONGEST_SECONDS)
            self._trips, self._probing = min(self._trips + 1, 8), False

    def leave(self) -> None:
        """End a call that says nothing about the target's health, so that another may probe."""
        with self._lock:
            self._probing = False

    def rests(self, now: float) -> float:
        """Return the seconds until a call may go through, 0 when one may now."""
        with self._lock:
            return 0.0 if self._opens_until is None else max(0.0, self._opens_until - now)
