"""See and set for how long old versions are kept."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

Versions = Annotated[str | None, typer.Option("--versions", help="How many of a document; all: every one.")]
Days = Annotated[str | None, typer.Option("--days", help="For how long a replaced one; all: for ever.")]
Reset = Annotated[bool, typer.Option("--reset", help="As everybody does.")]


def retention(
    versions: Versions = None,
    days: Days = None,
    reset: Reset = False,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Json = False,
    state: State = None,
) -> None:
    """Show for how long old versions are kept, or set it: `kowai retention --versions 5 --days 90`."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    named = {"keep_versions": _number(versions), "keep_days": _number(days)}
    changed = {name: value for name, value in named.items() if value != ""}
    path = "/api/v1/retention"
    with Api(url, key) as api:
        reply: dict[str, Any] = api.delete(path) if reset else api.get(path)
        if changed:
            reply = api.put(path, {name: reply[name] for name in named} | changed)
    if as_json:
        print_json(reply)
    else:
        typer.echo(_told(reply))


def _number(said: str | None) -> int | str | None:
    """Return what a person wrote: a number, None for all, and nothing for nothing."""
    if said is None or said == "all":
        return "" if said is None else None
    try:
        return int(said)
    except ValueError as error:
        raise typer.BadParameter(f"'{said}' is neither a number nor all.") from error


def _told(reply: dict[str, Any]) -> str:
    kept, days = reply["keep_versions"], reply["keep_days"]
    versions = "all versions" if kept is None else f"the newest {kept:,}"
    until = "for ever" if days is None else f"{days:,} days after they were replaced"
    return f"Kept: {versions} of a document, {until}, as {'this tenant' if reply['own'] else 'everybody'} does."
