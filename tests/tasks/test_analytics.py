"""Use is noted without what was said, cannot be changed, and shows who comes back."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from blocks.database import Database
from kowai.analytics import report
from kowai.types import Verdict
from tasks.analytics import read_analytics, report_use
from tasks.feedback import give_feedback
from tasks.receive import Inquiry, receive_query
from tasks.record import close_stopped, record_refusal

UNTIL = date(2026, 3, 29)  # a Sunday


def note(url: str, tenant: UUID, actor: UUID | None, day: date, kind: str = "answered") -> None:
    with psycopg.connect(url) as owner:
        owner.execute(
            "insert into usage_event (id, tenant_id, created_at, kind, actor) values (%s, %s, %s, %s, %s)",
            (uuid4(), tenant, datetime(day.year, day.month, day.day, 12, tzinfo=UTC), kind, actor),
        )


async def test_every_question_and_rating_leaves_one_event_without_text(
    store: Database, tenant: UUID, database_url: str
) -> None:
    caller = uuid4()
    stopped, refused, open_one = [await receive_query(Inquiry("A secret?", asked_by=caller), tenant) for _ in range(3)]
    await close_stopped(stopped, tenant, "Stopped.")
    await close_stopped(stopped, tenant, "Stopped again.")
    await record_refusal(refused, tenant, Verdict(allowed=False, code="no", sentence="No."))
    with psycopg.connect(database_url) as owner:
        owner.execute("update query set status = 'done' where id = %s", (open_one,))
    await give_feedback(open_one, tenant, caller, "up", "A secret comment")
    with psycopg.connect(database_url) as owner:
        events = owner.execute("select kind, actor, persona from usage_event order by created_at, kind").fetchall()
        held = owner.execute("select usage_event::text from usage_event").fetchall()
    assert sorted(events) == sorted((kind, caller, "assistant") for kind in ("stopped", "refused", "answered", "liked"))
    assert "secret" not in str(held)


async def test_events_are_append_only(store: Database, tenant: UUID, database_url: str) -> None:
    note(database_url, tenant, uuid4(), UNTIL)
    for statement in ("update usage_event set kind = 'liked'", "delete from usage_event"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with store.transaction(tenant) as connection:
                await connection.exec_driver_sql(statement)


async def test_cohorts_and_retention_follow_people_from_their_first_week(
    store: Database, tenant: UUID, other_tenant: UUID, database_url: str
) -> None:
    loyal, once, late, elsewhere = (uuid4() for _ in range(4))
    for weeks_ago in (5, 4, 3, 2, 1, 0):
        note(database_url, tenant, loyal, UNTIL - timedelta(weeks=weeks_ago))
    note(database_url, tenant, once, UNTIL - timedelta(weeks=5))
    note(database_url, tenant, late, UNTIL, "refused")
    note(database_url, tenant, loyal, UNTIL, "liked")
    note(database_url, tenant, None, UNTIL, "answered")
    note(database_url, other_tenant, elsewhere, UNTIL)
    note(database_url, tenant, once, UNTIL + timedelta(days=1))
    found = await read_analytics(tenant, UNTIL, 6)
    assert [(each.size, each.retained) for each in found.cohorts] == [(2, (1.0, *[0.5] * 5)), (1, (1.0,))]
    assert (found.retention_week_1, found.retention_week_4) == (0.5, 0.5)
    assert (found.active_day, found.active_week, found.active_month) == (2, 2, 2)
    last = found.weeks[-1]
    assert (last.active, last.new, last.questions, last.liked) == (2, 1, 3, 1.0)
    assert last.answered == pytest.approx(2 / 3)
    assert "| 2026-02-16 | 2 | 100% | 50%" in report(found)


async def test_nothing_known_is_none_and_no_error(store: Database, tenant: UUID) -> None:
    found = await report_use(tenant, UNTIL)
    assert (found.stickiness, found.retention_week_1, found.cohorts) == (None, None, ())
    assert all(week.answered is None for week in found.weeks)
    assert "unknown" in report(found)
