"""What a person sees of a start: a live line per process on a terminal, plain lines in a pipe."""

from collections.abc import Iterable

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

DOING = {
    "model": "building the embedding model",
    "initdb": "making the database",
    "postgres": "starting PostgreSQL",
    "schema": "bringing the schema up to date",
    "prefect": "starting the Prefect server",
    "worker": "starting the worker, registering flows",
    "shim": "starting the API",
}


class PlainDisplay:
    """Write one line per event."""

    def begin(self, names: Iterable[str]) -> None:
        self.tell(f"Starting {', '.join(names)} ...")

    def started(self, name: str) -> None:
        pass

    def ready(self, name: str, seconds: float) -> None:
        self.tell(f"{name}: ready after {seconds:.1f} s")

    def tell(self, sentence: str) -> None:
        typer.echo(sentence)

    def end(self) -> None:
        pass


class LiveDisplay:
    """Show every process with a spinner until it is ready."""

    def __init__(self, console: Console) -> None:
        self.console, self.tasks = console, dict[str, TaskID]()
        columns = (SpinnerColumn(finished_text=" "), TextColumn("{task.description}"), TimeElapsedColumn())
        self.progress = Progress(*columns, console=console)

    def begin(self, names: Iterable[str]) -> None:
        for name in names:
            self.tasks[name] = self.progress.add_task(f"[dim]{name}: waiting", total=1, start=False)
        self.progress.start()

    def started(self, name: str) -> None:
        if not self.progress.finished and name in self.tasks:
            self.progress.reset(self.tasks[name], description=f"{name}: {DOING.get(name, 'starting')}")

    def ready(self, name: str, seconds: float) -> None:
        if self.progress.finished or name not in self.tasks:
            self.tell(f"{name}: ready again after {seconds:.1f} s")
        else:
            self.progress.update(self.tasks[name], description=f"{name}: ready", completed=1)

    def tell(self, sentence: str) -> None:
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        self.progress.stop()


def display() -> PlainDisplay | LiveDisplay:
    console = Console()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay()
