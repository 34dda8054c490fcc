"""See and switch what guards do."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, Url

Guard = Annotated[str | None, typer.Argument(help="Which guard to switch; none: list them all.")]
Stage = Annotated[str | None, typer.Argument(help="input (questions), document or output (answers).")]
Action = Annotated[str | None, typer.Argument(help="off, note, mask, quarantine, refuse; or default.")]


def guards(
    guard: Guard = None,
    stage: Stage = None,
    action: Action = None,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Json = False,
) -> None:
    """List what guards do, or switch one: `kowai guards injection document note`."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    if guard and not (stage and action):
        raise typer.BadParameter("Name the guard, the stage and the action.")
    with Api(url, key) as api:
        if guard:
            wanted = None if action == "default" else action
            reply = api.put(f"/api/v1/guards/{guard}/{stage}", {"action": wanted})
        else:
            reply = api.get("/api/v1/guards")
    (print_json if as_json else _print)(reply)


def _print(reply: dict[str, Any]) -> None:

    from deployments.commands.printing import open_console, table

    listed = table("guard", "stage", "action", "by", "sees")
    for each in reply["guards"]:
        by = "this tenant" if each["own"] else "default" if each["action"] == each["default"] else "policy block"
        listed.add_row(each["guard"], each["stage"], each["action"], by, each["summary"])
    open_console().print(listed)
