"""Put versions of settings through the gate."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.commands.options import ApproveAbove, Dry, Json, Key, State, Url

PAUSE_SECONDS = 1.0
EXIT_CODES = {"promoted": 0, "broken": 1, "refused": 3, "rolled_back": 3}  # 2 means that KowAI is not running

Slot = Annotated[str, typer.Argument(help="persona:NAME, prompt:NAME, model, retrieval or space.")]
Set = Annotated[list[str], typer.Option("--set", help="FIELD=VALUE, as in passages=12; give it several times.")]
File = Annotated[Path | None, typer.Option("--file", "-f", help="The setting as a YAML or JSON file.")]
Suite = Annotated[str, typer.Option("--suite", "-s", help="The suite that decides.")]
Promotion = Annotated[str | None, typer.Argument(help="A promotion's id; left out: list the newest.")]
RollBack = Annotated[bool, typer.Option("--roll-back", help="Make the version before it live again.")]


def promote(
    slot: Slot,
    settings: Set = [],  # noqa: B006 -- typer's way of a default
    file: File = None,
    suite: Suite = "handbook",
    as_json: Json = False,
    *,
    dry_run: Dry = False,
    approve_above: ApproveAbove = 1.0,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Let a setting go live if a suite is answered no worse; exit code 3 when it is refused, 1 when it is broken."""
    import time

    from deployments.commands.api import Api
    from deployments.commands.approving import note_waiting
    from deployments.commands.printing import print_json, print_quote

    content = _content(settings, file)
    with Api(url, key) as api:
        version = {"slot": slot, "content": content}
        wanted = {"version": version, "suite": suite, "dry_run": dry_run, "approve_above": str(approve_above)}
        made = api.post("/api/v1/promotions", wanted)
        if dry_run:
            return print_quote(made, as_json)
        note_waiting(made["promotion_id"], made)
        while made["outcome"] is None:
            time.sleep(PAUSE_SECONDS)
            made = api.get(f"/api/v1/promotions/{made['promotion_id']}")
    print_json(made) if as_json else _print(made)
    raise typer.Exit(EXIT_CODES[made["outcome"]])


def promotions(
    promotion: Promotion = None,
    undo: RollBack = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    *,
    state: State = None,
) -> None:
    """List what was put through the gate, show one, or roll it back."""
    from deployments.commands.api import Api
    from deployments.commands.printing import is_empty, print_json

    with Api(url, key) as api:
        if promotion and undo:
            found = [api.post(f"/api/v1/promotions/{promotion}/roll-back")]
        elif promotion:
            found = [api.get(f"/api/v1/promotions/{promotion}")]
        else:
            found: list[dict[str, Any]] = api.get("/api/v1/promotions")
    if as_json:
        return print_json(found[0] if promotion else found)
    if is_empty(found, "Nothing was put through the gate yet."):
        return
    for each in found:
        _print(each)


def _content(settings: list[str], file: Path | None) -> dict[str, Any]:
    """Return the setting's fields. Raises InvalidInput."""
    import yaml

    from kowai.errors import InvalidInput

    try:
        loaded: dict[str, Any] = yaml.safe_load(file.read_text()) if file else {}
        pairs = {name: yaml.safe_load(value) for name, _, value in (each.partition("=") for each in settings)}
        return {**loaded, **pairs}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise InvalidInput(f"The setting cannot be read: {error}.") from error


def _print(made: dict[str, Any]) -> None:
    typer.echo(f"{made['promotion_id']}: {made['slot']} {made['outcome'] or 'in progress'}. {made['sentence'] or ''}")
