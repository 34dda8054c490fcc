"""Put a question to a team of personas."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import ApproveAbove, Dry, Json, Key, State, Url

if TYPE_CHECKING:
    from deployments.commands.api import Api

PAUSE_SECONDS = 1.0
AUTO = "auto"
OPEN = ("queued", "running")
EXIT_CODES = {"done": 0, "failed": 1, "partial": 3, "refused": 3, "cancelled": 3}  # 2: KowAI is not running

PlanFile = Annotated[str, typer.Argument(help="A YAML file with `steps`; auto: let the planner draw up the plan.")]
Team = Annotated[str | None, typer.Argument(help="A team's id; left out: list the newest.")]
Cancel = Annotated[bool, typer.Option("--cancel", help="End it now, with what it has.")]
Question = Annotated[str, typer.Argument(help="What the team works on.")]


def team(
    plan: PlanFile,
    question: Question,
    dry_run: Dry = False,
    as_json: Json = False,
    url: Url = None,
    *,
    approve_above: ApproveAbove = 1.0,
    key: Key = None,
    state: State = None,
) -> None:
    """Let several personas work on a question; exit code 1 when they failed, 3 when the answer is not whole."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_quote

    described = AUTO if plan == AUTO else _read(Path(plan))
    with Api(url, key) as api:
        wanted = {"question": question, "plan": described, "dry_run": dry_run, "approve_above": str(approve_above)}
        made = api.post("/api/v1/teams", wanted)
        if dry_run:
            return print_quote(made, as_json)
        made = _follow(api, made)
    _print(made, as_json)
    raise typer.Exit(EXIT_CODES[made["status"]])


def teams(
    team: Team = None,
    cancel: Cancel = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    *,
    state: State = None,
) -> None:
    """List teams, show one, or cancel it: it ends with what it has."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        if team is None:
            return _list(api.get("/api/v1/teams"), as_json)
        where = f"/api/v1/teams/{team}"
        _print(api.post(f"{where}/cancel") if cancel else api.get(where), as_json)


def _list(found: list[dict[str, Any]], as_json: bool) -> None:
    from deployments.commands.printing import is_empty, print_json

    if as_json:
        return print_json(found)
    if is_empty(found, "No team was asked anything yet."):
        return
    for each in found:
        typer.echo(f"{each['team_id']}: {each['status']}. {each['question']}")


def _read(path: Path) -> str:
    from kowai.errors import SourceMissing

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceMissing(f"{path} cannot be read as text: {error}.") from error


def _follow(api: "Api", made: dict[str, Any]) -> dict[str, Any]:
    """Say on standard error what each step comes to, until the team has ended."""
    import time

    from deployments.commands.approving import note_waiting

    note_waiting(made["team_id"], made)
    said: set[tuple[str, str]] = set()
    while True:
        for step in made["steps"]:
            news = (step["step"], step["state"])
            if step["state"] != "queued" and news not in said:
                said.add(news)
                why = f" ({step['cause']}: {step['sentence']})" if step["cause"] else ""
                typer.echo(f"{step['step']} by {step['persona']}: {step['state']}{why}", err=True)
        if made["status"] not in OPEN:
            return made
        time.sleep(PAUSE_SECONDS)
        made = api.get(f"/api/v1/teams/{made['team_id']}")


def _print(made: dict[str, Any], as_json: bool) -> None:
    from deployments.commands.printing import place_of, print_json, shortened

    if as_json:
        return print_json(made)
    typer.echo(made["answer"] or "(no answer)")
    for number, citation in enumerate(made["citations"], start=1):
        typer.echo(f"\n[{number}] {place_of(citation)}\n    {shortened(citation['quote'])}")
    cost = "unknown" if made["cost"] is None else f"{made['cost']} USD"
    typer.echo(f"\n{made['team_id']}: {made['status']}. {made['sentence'] or 'It is not over yet.'} | cost {cost}")
