"""Ask a file of questions of several personas."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import ApproveAbove, Dry, Json, Key, State, Url

if TYPE_CHECKING:
    from deployments.commands.api import Api


PAUSE_SECONDS = 1.0
OPEN = ("queued", "waiting", "running")

File = Annotated[Path, typer.Argument(help="A CSV file with a column `question` (and `id`), or JSON Lines.")]
Personas = Annotated[list[str], typer.Option("--persona", "-p", help="Who answers; give it several times.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write the table; .jsonl for JSON Lines.")]


def batch(
    questions: File,
    personas: Personas = ["assistant"],  # noqa: B006 -- typer's way of a default
    dry_run: Dry = False,
    approve_above: ApproveAbove = 1.0,
    *,
    out: Out = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Ask every question of every persona and compare; exit code 1 when an item has no answer."""
    from deployments.commands.api import Api
    from deployments.commands.approving import note_waiting
    from deployments.commands.printing import print_json

    with Api(url, key) as api:
        sent = _send(api, questions)
        wanted = {"personas": personas, "dry_run": dry_run, "approve_above": str(approve_above)}
        made = api.post("/api/v1/batches", {"question_set": sent["question_set_id"], **wanted})
        if made["status"] != "waiting":
            typer.echo(made["quote"] and _sentence(made["quote"]), err=True)
        if not dry_run:
            note_waiting(made["batch_id"], made)
            made = _follow(api, made)
            _save(api, made, out or questions.with_name(f"{questions.stem}.answers.csv"))
        if as_json:
            print_json(made)
        elif not dry_run:
            _print(api, made)
    if made["dead"] or made["refused"]:
        raise typer.Exit(1)


def _send(api: "Api", path: Path) -> dict[str, Any]:
    from kowai.errors import SourceMissing

    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceMissing(f"{path} cannot be read: {error.strerror or error}.") from error
    sent = api.post("/api/v1/question-sets", files={"file": (path.name, content)})
    for bad in sent["rejected"]:
        typer.echo(f"left out: {bad['message']}", err=True)
    return sent


def _sentence(quote: dict[str, Any]) -> str:
    from kowai.quotes import Quote

    return Quote.model_validate(quote).sentence


def _follow(api: "Api", made: dict[str, Any]) -> dict[str, Any]:
    """Show how far the batch is until it has ended."""
    import time

    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("queued", total=made["accepted"])
        while made["status"] in OPEN:
            time.sleep(PAUSE_SECONDS)
            made = api.get(f"/api/v1/batches/{made['batch_id']}")
            said = f"waits: kowai batch approve {made['batch_id']}" if made["status"] == "waiting" else made["status"]
            progress.update(task, completed=made["accepted"] - made["in_progress"], description=said)
    return made


def _save(api: "Api", made: dict[str, Any], out: Path) -> None:
    kind = "jsonl" if out.suffix.lower() in (".jsonl", ".ndjson") else "csv"
    out.write_bytes(api.download(f"/api/v1/batches/{made['batch_id']}/results", {"format": kind}))
    typer.echo(f"The answers are in {out}.", err=True)


def _print(api: "Api", made: dict[str, Any]) -> None:
    from rich.markup import escape

    from deployments.commands.printing import open_console, table

    console = open_console()
    shares = api.get(f"/api/v1/batches/{made['batch_id']}/results")["totals"]
    shown = table("persona", "items", "done", "abstained", "refused", "dead", "confidence", "cost")
    for share in shares:
        cells = [share[column.header] for column in shown.columns]  # pyright: ignore
        shown.add_row(*("unknown" if cell is None else escape(str(cell)) for cell in cells))
    console.print(shown)
    for item in made["without_answer"][:20]:
        console.print(f"{item['state']}: {escape(item['question'])} to {item['persona']}: {item['cause']}")
