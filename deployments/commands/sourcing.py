"""See, add, change and remove sources."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, Url

Uri = Annotated[str, typer.Argument(help="A folder, glob, file, URL, sitemap, git repository or block:TYPE/NAME.")]
Source = Annotated[str, typer.Argument(help="The source's id or URI.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Its kind, if not to be told from the URI; such as git.")]
Cron = Annotated[str | None, typer.Option("--cron", help='When it is read again, such as "0 6 * * 1"; else at night.')]
Timezone = Annotated[str, typer.Option("--timezone", help="The schedule's time zone, such as Europe/Berlin.")]
Vanished = Annotated[str, typer.Option("--vanished", help="What becomes of vanished documents: keep, mark, remove.")]
Option = Annotated[list[str] | None, typer.Option("--option", "-o", help="NAME=VALUE for its kind; repeatable.")]
Handling = Annotated[
    list[str] | None,
    typer.Option("--handling", help="NAME=VALUE: content_type, language, chunk_size, chunk_overlap; repeatable."),
]

app = typer.Typer(name="sources", help="See and change where documents come from.", invoke_without_command=True)


@app.callback()
def sources(context: typer.Context, url: Url = None, key: Key = None, as_json: Json = False) -> None:
    """List the sources and when each is due."""
    if context.invoked_subcommand is None:
        from deployments.commands.api import Api
        from deployments.commands.printing import print_json

        with Api(url, key) as api:
            reply = api.get("/api/v1/sources")
        (print_json if as_json else _print)(reply["sources"] if not as_json else reply)


@app.command()
def add(
    uri: Uri,
    kind: Kind = None,
    cron: Cron = None,
    timezone: Timezone = "UTC",
    vanished: Vanished = "keep",
    *,
    option: Option = None,
    handling: Handling = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Keep a source; it is read when it is due, or at once with `kowai sources walk`."""
    from deployments.commands.api import Api

    wanted = {"uri": _whole(uri), "kind": kind, "cron": cron, "timezone": timezone, "vanished": vanished}
    with Api(url, key) as api:
        _print([api.post("/api/v1/sources", wanted | {"options": _pairs(option), "handling": _pairs(handling)})])


@app.command()
def walk(source: Source, url: Url = None, key: Key = None) -> None:
    """Read a source now, in the background."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        ledger = api.post(f"/api/v1/sources/{_id(api, source)}:walk")
    typer.echo(f"Ingestion {ledger['ingestion_id']} has begun: follow it with `kowai documents`.")


@app.command()
def pause(source: Source, url: Url = None, key: Key = None) -> None:
    """Walk a source no more until it is resumed."""
    _change(source, {"active": False}, url, key)


@app.command()
def resume(source: Source, url: Url = None, key: Key = None) -> None:
    """Walk a source again by its schedule."""
    _change(source, {"active": True}, url, key)


@app.command()
def remove(source: Source, url: Url = None, key: Key = None) -> None:
    """Forget a source; its documents stay."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        api.delete(f"/api/v1/sources/{_id(api, source)}")
    typer.echo(f"{source} is walked no more; its documents stay.")


def _change(source: str, changes: dict[str, Any], url: str | None, key: str | None) -> None:
    from deployments.commands.api import Api

    with Api(url, key) as api:
        _print([api.patch(f"/api/v1/sources/{_id(api, source)}", changes)])


def _id(api: Any, source: str) -> str:
    from kowai.errors import NotFound

    for kept in api.get("/api/v1/sources")["sources"]:
        if source in (kept["id"], kept["uri"]) or _whole(source) == kept["uri"]:
            return str(kept["id"])
    raise NotFound(f"There is no source {source}.")


def _whole(uri: str) -> str:
    """Return a path as an absolute one, for the worker runs elsewhere; anything else as it is."""
    from pathlib import Path

    is_path = "://" not in uri and not uri.startswith("block:")
    return str(Path(uri).expanduser().absolute()) if is_path else uri


def _pairs(told: list[str] | None) -> dict[str, Any]:
    if any("=" not in each for each in told or []):
        raise typer.BadParameter("Write NAME=VALUE.")
    return dict(each.split("=", 1) for each in told or [])


def _print(kept: list[dict[str, Any]]) -> None:
    from rich.markup import escape

    from deployments.commands.printing import is_empty, open_console, table

    if is_empty(kept, "There are no sources yet: kowai sources add."):
        return
    listed = table("source", "kind", "schedule", "due", "walked", "vanished", "id")
    for each in kept:
        schedule = f"{each['cron']} ({each['timezone']})" if each["cron"] else "nightly"
        due = each["due_at"][:16].replace("T", " ") if each["active"] else "paused"
        walked = (each["walked_at"] or "never")[:16].replace("T", " ")
        cells = (each["uri"], each["kind"], schedule, due, walked, each["vanished"], each["id"])
        listed.add_row(*map(escape, cells))
    open_console().print(listed)
