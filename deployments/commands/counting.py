"""Show how KowAI is used."""

from typing import TYPE_CHECKING, Annotated

import typer

from deployments.commands.options import Json, Key, State, Url

if TYPE_CHECKING:
    from kowai.analytics import Analytics

Until = Annotated[str | None, typer.Option("--until", help="The last UTC day, as 2026-01-31; default: today.")]
Weeks = Annotated[int | None, typer.Option("--weeks", min=1, max=104, help="How many weeks; default: 8.")]


def analytics(
    until: Until = None,
    weeks: Weeks = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    *,
    state: State = None,
) -> None:
    """Show who is active, what they ask and who comes back, week by week."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json
    from kowai.analytics import Analytics

    with Api(url, key) as api:
        reply = api.get("/api/v1/analytics", until=until, weeks=weeks)
    if as_json:
        print_json(reply)
    else:
        _print(Analytics.model_validate(reply))


def _print(found: "Analytics") -> None:

    from deployments.commands.printing import open_console, table
    from kowai.analytics import chart, headline, share

    console = open_console()
    console.print(f"Use from {found.since} to {found.until}")
    console.print(headline(found))
    for line in chart(found.weeks):
        console.print(line, markup=False, soft_wrap=True)
    weeks = table("week", "active", "new", "questions", "answered", "liked")
    for week in found.weeks:
        counts = (f"{count:,}" for count in (week.active, week.new, week.questions))
        weeks.add_row(str(week.week), *counts, share(week.answered), share(week.liked))
    console.print(weeks)
    cohorts = table("first week", "people", *(f"+{later}" for later in range(len(found.weeks))))
    for cohort in found.cohorts:
        cohorts.add_row(str(cohort.week), f"{cohort.size:,}", *map(share, cohort.retained))
    if found.cohorts:
        console.print(cohorts)
