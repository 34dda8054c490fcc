"""See and set what a tenant, its users and its keys may ask for."""

from typing import Annotated, Any
from uuid import UUID

import typer

from deployments.commands.options import Json, Key, State, Url

EVERYBODYS = ("requests_per_minute", "streams", "tokens_per_day")
TENANTS = ("dollars_per_day", "dollars_per_request", "approve_above")
COLUMNS = ("subject", "kind", "name", *EVERYBODYS, "dollars_per_day", "approve_above")

Subject = Annotated[UUID | None, typer.Argument(help="The id of a user or a key; none: list them all.")]
Whole = Annotated[
    str | None, typer.Option("--tenant", "-t", help="A whole tenant by its name or id, for the platform's admins.")
]
Requests = Annotated[int | None, typer.Option("--requests", help="Requests a minute.")]
Streams = Annotated[int | None, typer.Option("--streams", help="Answers streamed at once.")]
Tokens = Annotated[int | None, typer.Option("--tokens", help="Model tokens a day.")]
Dollars = Annotated[str | None, typer.Option("--dollars", help="US dollars a day; of a tenant only.")]
Above = Annotated[
    str | None, typer.Option("--approve-above", help="US dollars above which what is started waits; of a tenant only.")
]
Reset = Annotated[bool, typer.Option("--reset", help="Take back what was set before.")]


def allowances(
    subject: Subject = None,
    tenant: Whole = None,
    requests: Requests = None,
    streams: Streams = None,
    tokens: Tokens = None,
    *,
    dollars: Dollars = None,
    approve_above: Above = None,
    reset: Reset = False,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
    state: State = None,
) -> None:
    """Show limits of users and keys, or set one: `kowai allowances ID --requests 60` leaves the others as they are."""
    from deployments.commands.api import Api
    from deployments.commands.entering import one_of, show_rows

    given = (requests, streams, tokens, dollars, approve_above)
    named = zip((*EVERYBODYS, "dollars_per_day", "approve_above"), given, strict=True)
    wanted = {name: value for name, value in named if value is not None}
    if (wanted or reset) and not (subject or tenant):
        raise typer.BadParameter("Name a user, a key or a tenant.")
    whole = f"{one_of('/api/v1/tenants', tenant, 'name', url, key)}/allowance" if tenant else None
    with Api(url, key) as api:
        rows = [api.get(whole)] if whole else api.get("/api/v1/allowances")
        rows = [row for row in rows if subject is None or row["subject"] == str(subject)]
        if (wanted or reset) and rows:
            path = whole or f"/api/v1/allowances/{subject}"
            rows = [api.put(path, _kept(rows[0], reset, whole=tenant is not None) | wanted)]
    show_rows(rows, COLUMNS, as_json, "There is no such user or key.")


def _kept(row: dict[str, Any], reset: bool, *, whole: bool) -> dict[str, Any]:
    return {} if reset else {name: row[name] for name in (*EVERYBODYS, *(TENANTS if whole else ()))}
