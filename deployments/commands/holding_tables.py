"""Documents, dead letters, accounts and certificates as a person reads them."""

from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from deployments.commands.printing import is_empty, open_console, table
from deployments.commands.tally import COUNTS


def print_documents(reply: dict[str, Any]) -> None:
    if is_empty(reply["documents"], "There are no such documents."):
        return
    made = table("document", "title", "type", "version", "changed", "id")
    for document in reply["documents"]:
        changed = document["updated_at"][:16].replace("T", " ")
        cells = (document["external_id"], document["title"] or "", document["media_type"])
        made.add_row(*map(escape, cells), str(document["version"]), changed, document["id"])
    _print(made)
    if reply.get("next"):
        typer.echo("There are more: narrow the list with --search, or raise --limit.")


def print_dead_letters(reply: dict[str, Any]) -> None:
    made = table("document", "state", "cause", "tries", "what happened", "what to do", "id")
    for letter in reply["dead_letters"]:
        known = (letter["uri"], letter["state"], letter["cause"], str(letter["attempts"]))
        made.add_row(*map(escape, (*known, letter["sentence"] or "", letter["fix"])), letter["id"])
    if reply["dead_letters"]:
        _print(made)
    else:
        typer.echo("No document is dead.")


def print_duplicates(reply: dict[str, Any]) -> None:
    made = table("document", "says what this one says", "likeness", "id")
    for one in reply["duplicates"]:
        like = "the same" if one["same"] else f"{one['likeness']:.2f}"
        made.add_row(escape(one["external_id"]), escape(one["leader"]), like, one["id"])
    if reply["duplicates"]:
        _print(made)
    else:
        typer.echo("No two documents say almost the same.")


def print_accounts(ledger: dict[str, Any]) -> None:
    """Print where everything accepted stands, a line for each source and one in total."""
    made = table("source", *(name.replace("_", " ") for name in COUNTS))
    for account in ledger["sources"]:
        made.add_row(escape(account["uri"] or "uploads and requests"), *(f"{account[name]:,}" for name in COUNTS))
    made.add_row("total", *(f"{ledger['total'][name]:,}" for name in COUNTS), style="bold")
    _print(made)


def print_certificate(certificate: dict[str, Any]) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in certificate["counts"].items() if count)
    typer.echo(f"Deleted: {counts}.\nCertificate {certificate['id']}, SHA-256 {certificate['hash']}.")


def _print(made: Table) -> None:
    open_console().print(made)
