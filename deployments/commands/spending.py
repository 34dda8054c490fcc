"""Show what models have cost."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import Json, Key, Url

if TYPE_CHECKING:
    from deployments.commands.api import Api

Day = Annotated[str | None, typer.Option("--day", help="A UTC day, as 2026-01-31; default: today.")]


def costs(day: Day = None, url: Url = None, key: Key = None, as_json: Json = False) -> None:
    """Show what a day's model calls cost, by persona, model, flow and document source."""
    import json

    from deployments.commands.api import Api

    with Api(url, key) as api:
        reply = _read(api, {"day": day} if day else {})
    if as_json:
        typer.echo(json.dumps(reply, indent=2))
    else:
        _print(reply)


def _read(api: "Api", query: dict[str, str]) -> dict[str, Any]:
    import httpx

    from deployments.commands.api import NotRunning, Refused

    try:
        response = api.client.get("/api/v1/costs", params=query)
    except httpx.TransportError as error:
        sentence = f"KowAI does not answer at {api.url}: start it with `kowai up`."
        raise NotRunning(sentence, operator=str(error)) from error
    if response.is_error:
        raise Refused(str(response.json()["error"]["message"]), status=response.status_code)
    return response.json()


def _print(reply: dict[str, Any]) -> None:
    from rich.markup import escape

    from deployments.commands.printing import open_console, table

    console = open_console()
    console.print(f"{reply['day']}: {_dollars(reply['spent'])} spent of {_dollars(reply['daily_limit'])}", end="")
    console.print(f", {_dollars(reply['reserved'])} reserved for calls under way")
    counters = ("reservations", "settlements", "releases", "replays")
    console.print(", ".join(f"{reply[name]:,} {name}" for name in counters))
    made = table("by", "name", "calls", "cost", "of unknown cost", "counted")
    for share in reply["shares"]:
        figures = (f"{share['calls']:,}", _dollars(share["cost"]), f"{share['unknown']:,}", _dollars(share["charged"]))
        made.add_row(share["by"], escape(share["name"]), *figures)
    if reply["shares"]:
        console.print(made)


def _dollars(amount: str | None) -> str:
    return "unknown" if amount is None else f"${float(amount):,.4f}"
