"""When a source is due: a cron expression read in a time zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from kowai.errors import InvalidInput

NIGHTLY = "0 2 * * *"


def next_due(cron: str | None, timezone: str, after: datetime) -> datetime:
    """Return the first moment after `after`, in UTC, at which the schedule is due; no cron means every night.

    A moment that a clock change leaves out is due when the clocks have changed, as with Debian's cron. Raises
    InvalidInput for what is no schedule.
    """
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(f"There is no time zone {timezone!a}: use a name such as Europe/Berlin.") from error
    try:
        return next(CronSim(cron or NIGHTLY, after.astimezone(zone))).astimezone(UTC)
    except (CronSimError, StopIteration) as error:
        raise InvalidInput(
            f"{cron!a} is no schedule that ever comes due: use cron's form, such as 0 2 * * *."
        ) from error
