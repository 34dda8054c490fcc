"""Try versions on part of the traffic, and set flags."""

from pathlib import Path
from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

Version = Annotated[str, typer.Argument(help="The id of the version to try beside what is live.")]
Metric = Annotated[str, typer.Option("--metric", help="feedback, judge, cost or latency.")]
Share = Annotated[float, typer.Option("--share", help="The candidate's part of the traffic.")]
Unit = Annotated[str, typer.Option("--unit", help="What stays in its arm: conversation or caller.")]
Experiment = Annotated[str | None, typer.Argument(help="An experiment's id; left out: list the newest.")]
Stop = Annotated[bool, typer.Option("--stop", help="Stop it.")]
Name = Annotated[str | None, typer.Argument(help="A flag's name; left out: list all.")]
File = Annotated[Path | None, typer.Option("--file", "-f", help="Set it to this YAML or JSON file.")]
Remove = Annotated[bool, typer.Option("--remove", help="Delete it.")]


def experiment(
    version: Version,
    metric: Metric = "feedback",
    share: Share = 0.5,
    unit: Unit = "conversation",
    *,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Let a version answer part of the traffic until it has significantly won or lost."""
    from deployments.commands.api import Api

    wanted = {"version_id": version, "metric": metric, "share": share, "unit": unit}
    with Api(url, key) as api:
        made = api.post("/api/v1/experiments", wanted)
    typer.echo(f"{made['experiment_id']}: {made['slot']} runs, {made['share']:.0%} by the candidate.")


def experiments(
    experiment: Experiment = None,
    stop: Stop = False,
    as_json: Json = False,
    *,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """List experiments, show the lift of one, or stop it."""
    from deployments.commands.api import Api
    from deployments.commands.printing import is_empty, print_json

    with Api(url, key) as api:
        if experiment and stop:
            api.post(f"/api/v1/experiments/{experiment}/stop")
        if experiment:
            found = [api.get(f"/api/v1/experiments/{experiment}")]
        else:
            found: list[dict[str, Any]] = api.get("/api/v1/experiments")
    if as_json:
        return print_json(found[0] if experiment else found)
    if is_empty(found, "No experiment was begun yet."):
        return
    for each in found:
        told = each["sentence"] or f"{each['exposures']:,} exposures so far."
        typer.echo(f"{each['experiment_id']}: {each['slot']} by {each['metric']} {each['outcome'] or 'runs'}. {told}")
        for metric, lift in each.get("lifts", {}).items():
            typer.echo(f"  {metric}: {_told(lift)}")


def flags(
    name: Name = None,
    file: File = None,
    remove: Remove = False,
    *,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """List flags, set one from a file, or delete it."""
    import yaml

    from deployments.commands.api import Api
    from deployments.commands.printing import is_empty, print_json
    from kowai.errors import NotFound

    with Api(url, key) as api:
        if name and remove:
            api.delete(f"/api/v1/flags/{name}")
            return
        if name and file:
            return print_json(api.put(f"/api/v1/flags/{name}", yaml.safe_load(file.read_text())))
        found: list[dict[str, Any]] = api.get("/api/v1/flags")
    if name is None:
        return None if not as_json and is_empty(found, "There are no flags yet.") else print_json(found)
    named = [each for each in found if each["name"] == name]
    if not named:
        raise NotFound(f"There is no flag '{name}'.")
    print_json(named[0])


def _told(lift: dict[str, Any]) -> str:
    counts = f"{lift['control_outcomes']:,} and {lift['candidate_outcomes']:,} outcomes"
    if lift["lift"] is None:
        return f"too little is known, {counts}"
    return f"{lift['lift']:+.3f} ({lift['low']:+.3f} to {lift['high']:+.3f}), {counts}"
