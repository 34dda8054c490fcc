"""Evaluate personas on suites."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import ApproveAbove, Dry, Json, Key, State, Url

if TYPE_CHECKING:
    from deployments.commands.api import Api

PAUSE_SECONDS = 1.0
DECLINED = "declined"
EXIT_CODES = {"passed": 0, "broken": 1, "regressed": 3, DECLINED: 3}  # 2 means that KowAI is not running

Suite = Annotated[str, typer.Argument(help="A suite's name or id, or its file or BEIR folder, which is stored first.")]
Personas = Annotated[list[str], typer.Option("--persona", "-p", help="Who answers; give it several times.")]
Unjudged = Annotated[bool, typer.Option("--no-judge", help="Ask no model what it thinks of the answers.")]
Form = Annotated[str | None, typer.Option("--form", help="native, squad, beir, promptfoo or openai_evals.")]
Evaluation = Annotated[str | None, typer.Argument(help="An evaluation's id; left out: list the newest.")]
Accept = Annotated[bool, typer.Option("--accept", help="Compare later evaluations with this one.")]
Cases = Annotated[bool, typer.Option("--cases", help="List what was answered, the least right first.")]
Name = Annotated[str, typer.Option("--name", help="What the suite is called.")]
Sources = Annotated[list[str], typer.Option("--from", help="liked, disliked, unsure or failed; default: all.")]
Days = Annotated[int, typer.Option("--days", min=1, help="How far to look back.")]


def evaluate(
    suite: Suite,
    personas: Personas = [],  # noqa: B006 -- typer's way of a default
    no_judge: Unjudged = False,
    form: Form = None,
    as_json: Json = False,
    *,
    dry_run: Dry = False,
    approve_above: ApproveAbove = 1.0,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Ask a suite's questions and measure the answers; exit code 3 when a metric regressed, 1 when it is broken."""
    import time

    from deployments.commands.api import Api
    from deployments.commands.approving import note_waiting
    from deployments.commands.printing import print_quote

    with Api(url, key) as api:
        named = _send(api, Path(suite), form) if Path(suite).exists() else suite
        wanted = {"suite": named, "personas": personas, "judged": not no_judge, "dry_run": dry_run}
        made = api.post("/api/v1/evaluations", wanted | {"approve_above": str(approve_above)})
        if dry_run:
            return print_quote(made, as_json)
        path = f"/api/v1/evaluations/{made['evaluation_id']}"
        note_waiting(made["evaluation_id"], made)
        while made["outcome"] is None and made["status"] != DECLINED:
            time.sleep(PAUSE_SECONDS)
            made = api.get(path)
        _print(api, made["evaluation_id"], as_json)
    raise typer.Exit(EXIT_CODES[made["outcome"] or DECLINED])


def evaluations(
    evaluation: Evaluation = None,
    accept: Accept = False,
    cases: Cases = False,
    as_json: Json = False,
    url: Url = None,
    *,
    key: Key = None,
    state: State = None,
) -> None:
    """List evaluations, or show what one found."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        if evaluation and accept:
            api.post(f"/api/v1/evaluations/{evaluation}/accept")
        if evaluation and cases:
            _print_cases(api.get(f"/api/v1/evaluations/{evaluation}/cases"), as_json)
        elif evaluation:
            _print(api, evaluation, as_json)
        else:
            _list(api.get("/api/v1/evaluations"), as_json)


def draw_suite(
    name: Name = "production",
    sources: Sources = [],  # noqa: B006 -- typer's way of a default
    days: Days = 30,
    url: Url = None,
    key: Key = None,
    *,
    state: State = None,
) -> None:
    """Draw a suite from what was really asked: liked, disliked, unsure and failed answers."""
    from deployments.commands.api import Api

    wanted = {"name": name, "days": days} | ({"sources": sources} if sources else {})
    with Api(url, key) as api:
        made = api.post("/api/v1/suites:draw", wanted)
    typer.echo(f"{made['cases']:,} questions are in the suite {made['name']} ({made['suite_id']}).")


def _send(api: "Api", path: Path, form: str | None) -> str:
    """Store the suite of a file or folder and return its id; what is no case is named."""
    root = path.parent if path.is_file() else path
    paths = [path] if path.is_file() else [each for each in sorted(path.rglob("*")) if _is_of_beir(each)]
    files = [("files", (str(each.relative_to(root)), each.read_bytes())) for each in paths]
    named = [("name", (None, path.stem.encode())), *([("form", (None, form.encode()))] if form else [])]
    made = api.post("/api/v1/suites", files=[*files, *named])
    for bad in made["rejected"]:
        typer.echo(f"left out: {bad['message']}", err=True)
    return made["suite_id"]


def _is_of_beir(path: Path) -> bool:
    return path.is_file() and (path.name == "queries.jsonl" or path.suffix == ".tsv")


def _list(found: list[dict[str, Any]], as_json: bool) -> None:
    from rich.markup import escape

    from deployments.commands.printing import is_empty, open_console, print_json, table

    if as_json:
        return print_json(found)
    if is_empty(found, "Nothing was evaluated yet."):
        return
    shown = table("evaluation", "suite", "personas", "outcome", "accepted", "begun")
    for each in found:
        suite, outcome = f"{each['suite']} v{each['suite_version']}", each["outcome"] or each["status"]
        cells = (each["evaluation_id"], suite, ", ".join(each["personas"]), outcome)
        shown.add_row(*map(escape, cells), "yes" if each["accepted"] else "", each["created_at"][:19])
    open_console().print(shown)


def _print(api: "Api", evaluation: str, as_json: bool) -> None:
    from deployments.commands.printing import print_json

    result = api.get(f"/api/v1/evaluations/{evaluation}")
    if as_json:
        return print_json(result)
    if result["found"]:
        typer.echo(api.download(f"/api/v1/evaluations/{evaluation}/report", {}).decode())
    for each in result["without_score"][:20]:
        typer.echo(f"{each['state']}: {each['case']} by {each['persona']}: {each['sentence'] or each['cause']}")
    typer.echo(f"evaluation {evaluation}: {result['outcome'] or result['status']}")


def _print_cases(found: list[dict[str, Any]], as_json: bool) -> None:
    from deployments.commands.printing import print_json

    if as_json:
        return print_json(found)
    for each in found:
        right = "?" if each["right"] is None else f"{each['right']:.2f}"
        typer.echo(f"{right}  {each['case']} by {each['persona']}: {each['question']}")
        typer.echo(f"      {each['answer'] or each['cause']}")
        if each["query_id"]:
            typer.echo(f"      kowai replay {each['query_id']}")
