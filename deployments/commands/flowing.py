"""Start workflows through the API, follow them and call them off."""

from typing import Annotated, Any
from uuid import UUID

import typer

from deployments.commands.entering import send, show_rows
from deployments.commands.options import Json, Key, State, Url

workflows = typer.Typer(name="workflows", help="Start, follow and cancel workflows.", no_args_is_help=True)

WORKFLOWS, RUNS = "/api/v1/workflows", "/api/v1/workflow-runs"
COLUMNS = ("id", "workflow", "state", "name", "created_at", "result")
Once = Annotated[str | None, typer.Option("--idempotency-key", help="The same command with it again starts no other.")]
Set = Annotated[list[str], typer.Option("--set", help="NAME=VALUE, as in suite=handbook; give it several times.")]


@workflows.command("list")
def list_workflows(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List the workflows that you may start."""
    show_rows(
        send("GET", WORKFLOWS, None, url, key),
        ("name", "description"),
        as_json,
        "There is no workflow that you may start.",
    )


@workflows.command("show")
def show_workflow(name: str, url: Url = None, key: Key = None, state: State = None) -> None:
    """Describe a workflow and its parameters."""
    from deployments.commands.printing import print_json

    print_json(send("GET", f"{WORKFLOWS}/{name}", None, url, key))


@workflows.command("start")
def start_workflow(
    name: str,
    settings: Set = [],  # noqa: B006 -- typer's way of a default
    url: Url = None,
    key: Key = None,
    state: State = None,
    *,
    once: Once = None,
    as_json: Json = False,
) -> None:
    """Start a workflow: `kowai workflows start evaluate --set suite=handbook --set personas=[assistant]`."""
    from uuid import uuid4

    from deployments.commands.api import Api

    with Api(url, key) as api:
        api.client.headers["Idempotency-Key"] = once or str(uuid4())  # a busy server is asked again
        run = api.send("POST", f"{WORKFLOWS}/{name}/runs", {"parameters": _parameters(settings)})
    show_rows([run], COLUMNS, as_json)


@workflows.command("runs")
def list_runs(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List what was started, newest first, and where it stands."""
    show_rows(send("GET", RUNS, None, url, key), COLUMNS, as_json, "No workflow was started yet.")


@workflows.command("state")
def show_run(run_id: UUID, url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """Say where a run stands."""
    show_rows([send("GET", f"{RUNS}/{run_id}", None, url, key)], COLUMNS, as_json)


@workflows.command("cancel")
def cancel_run(run_id: UUID, url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """Cancel a run that has not ended."""
    show_rows([send("POST", f"{RUNS}/{run_id}/cancel", None, url, key)], COLUMNS, as_json)


def _parameters(settings: list[str]) -> dict[str, Any]:
    """Read values as YAML, so that figures, lists and yes are what they look like; anything else is text."""
    import yaml

    read: dict[str, Any] = {}
    for each in settings:
        name, separator, value = each.partition("=")
        if not separator:
            raise typer.BadParameter(f"{each} is not NAME=VALUE.")
        try:
            read[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            read[name] = value
        if not isinstance(read[name], (list, int, float, bool, str)):  # a mapping, a date or nothing: as it was typed
            read[name] = value
    return read
