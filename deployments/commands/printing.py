"""Replies of the API as a person reads them."""

import json
import sys
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from deployments.commands.tally import COUNTS

if TYPE_CHECKING:
    from deployments.commands.tally import Tally
    from deployments.local.findings import Finding
    from deployments.local.status import Line

LONGEST_QUOTE = 300
UNBROKEN = 10_000  # columns


def open_console() -> Console:
    """Return what wraps lines on a terminal and, for who reads from a pipe, leaves a row in one line."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else UNBROKEN)


def print_json(reply: dict[str, Any] | list[dict[str, Any]]) -> None:
    typer.echo(json.dumps(reply, indent=2, ensure_ascii=False))


def is_empty(found: Sized, sentence: str) -> bool:
    """Tell whether a list is empty, and say so on the error stream."""
    if not found:
        typer.echo(sentence, err=True)
    return not found


def print_quote(quote: dict[str, Any], as_json: bool) -> None:
    """Print what a dry run would take."""
    from kowai.quotes import Quote

    print_json(quote) if as_json else typer.echo(Quote.model_validate(quote).sentence)


def print_answer(reply: dict[str, Any], told: str = "") -> None:
    """Print the answer, its citations and how sure it is; a refusal as what it says.

    Words that were `told` already are not printed again; where checking changed them, the checked ones stand below.
    """
    console = open_console()
    if reply.get("error"):
        typer.echo(f"kowai: {reply['error']['message']}", err=True)
        return
    answer = reply.get("answer") or "(no answer)"
    if not told or _bare(answer) != _bare(told):
        console.print(Text(f"\n{answer}" if told else answer), style="bold")
    for number, citation in enumerate(reply.get("citations", []), start=1):
        console.print(Text(f"\n[{number}] {place_of(citation)}"), style="cyan")
        console.print(Padding(Text(shortened(citation["quote"])), (0, 0, 0, 4), expand=False))
    for sentence in reply.get("struck_out", []):
        console.print(Text(f"\nstruck out, for nothing supports it: {sentence}"), style="yellow")
    console.print(Text(f"\n{summary(reply)}"), style="dim")
    print_note(reply)


def _bare(text: str) -> str:
    """Return the words without markers, which are told only once they are checked."""
    from kowai.claims import MARKER

    return " ".join(MARKER.sub("", text).split())


def print_passages(reply: dict[str, Any]) -> None:
    console = open_console()
    for number, passage in enumerate(reply["passages"], start=1):
        console.print(Text(f"{number}. {place_of(passage)}  ({passage['score']:.3f})"), style="cyan")
        console.print(Padding(Text(shortened(passage["text"])), (0, 0, 1, 4), expand=False))
    if not reply["passages"]:
        typer.echo("Nothing was found.")
    print_note(reply)


def print_note(reply: dict[str, Any]) -> None:
    """Say on the error stream what the reply cannot hold."""
    if reply.get("note"):
        typer.echo(f"kowai: {reply['note']}", err=True)


def place_of(found: dict[str, Any]) -> str:
    """Name the document, version, page and characters a citation or passage comes from."""
    title, name = found.get("title"), found["external_id"]
    heading = f"{title} - " if title and title != name else ""
    page = f", page {found['page']}" if found.get("page") else ""
    return f"{heading}{name}, version {found['version']}{page}, characters {found['start']}-{found['end']}"


def summary(reply: dict[str, Any]) -> str:
    confidence, cost = reply.get("confidence"), reply.get("cost")
    routing = reply.get("routing")
    parts = [
        f"persona {reply['persona']}, chosen with confidence {routing['confidence']:.2f}" if routing else "",
        "abstained: the documents do not say" if reply.get("abstained") else "",
        f"confidence {'unknown' if confidence is None else f'{confidence:.2f}'}",
        f"model {reply.get('model') or 'unknown'}",
        f"cost {'unknown' if cost is None else f'{cost} USD'}",
    ]
    return " | ".join(part for part in parts if part)


def shortened(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= LONGEST_QUOTE else f"{flat[:LONGEST_QUOTE].rstrip()} ..."


def table(*headings: str, title: str | None = None) -> Table:
    made = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold", no_wrap=heading == "id")
    return made


def print_tally(tally: "Tally") -> None:
    """Print where the documents ended, those that are not indexed one by one."""
    console = open_console()
    for heading, listed in {"dead document": tally.deaths, "held back": tally.held}.items():
        if listed:
            made = table(heading, "cause", "what happened")
            for each in listed:
                made.add_row(*map(escape, each))
            console.print(made)
    counts = table(*(name.replace("_", " ") for name in COUNTS))
    counts.add_row(*(f"{getattr(tally, name):,}" for name in COUNTS))
    console.print(counts)


def print_status(lines: list["Line"]) -> None:
    """Print a table of processes."""
    made = table("component", "state", "pid", "port", "memory", "URL", "")
    for line in lines:
        memory = f"{line.memory / 1e6:.0f} MB" if line.memory is not None else None
        cells = (line.name, line.state, line.pid, line.port, memory, line.url, line.sentence)
        made.add_row(*("" if cell is None else escape(str(cell)) for cell in cells))
    open_console().print(made)


def print_finding(finding: "Finding") -> None:
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.level]
    shown = Text.assemble((f"{finding.level:<5}", colour), f"{finding.subject:<12} {finding.sentence}")
    Console(highlight=False, soft_wrap=True).print(shown)
    if finding.fix:
        Console(highlight=False, soft_wrap=True).print(Text(f"     {'':<12} {finding.fix}"))
