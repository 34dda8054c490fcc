"""Let what could be dear begin, or decline it."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

Subject = Annotated[str, typer.Argument(help="The id of the batch, evaluation, promotion, optimisation or team.")]
Why = Annotated[str, typer.Option("--reason", "-m", help="Why; whatever is refused says so.")]
Everything = Annotated[bool, typer.Option("--all", help="Also what was decided, or needed no approval.")]


def approve(subject: Subject, url: Url = None, key: Key = None, *, state: State = None) -> None:
    """Let what waits for an approval begin."""
    _decide(subject, {"approve": True}, url, key)


def decline(subject: Subject, reason: Why = "", url: Url = None, key: Key = None, *, state: State = None) -> None:
    """End what waits for an approval before it begins."""
    _decide(subject, {"approve": False, "reason": reason}, url, key)


def approvals(
    everything: Everything = False, as_json: Json = False, url: Url = None, key: Key = None, *, state: State = None
) -> None:
    """List what waits for an approval, with what it could cost."""
    from deployments.commands.api import Api
    from deployments.commands.printing import is_empty, print_json

    with Api(url, key) as api:
        found: list[dict[str, Any]] = api.get("/api/v1/approvals", state=None if everything else "waiting")
    if as_json:
        return print_json(found)
    if is_empty(found, "Nothing was quoted yet." if everything else "Nothing waits for an approval."):
        return
    for each in found:
        by = f" by {each['decided_by']}" if each["decided_by"] else ""
        typer.echo(f"{each['id']}: {each['workflow']}, {each['state']}{by}. {_sentence(each['quote'])}")


def note_waiting(subject_id: str, made: dict[str, Any]) -> None:
    """Say on standard error that something waits for an approval, if it does."""
    approval: dict[str, Any] | None = made.get("approval")
    if approval and approval["state"] == "waiting":
        typer.echo(f"{_sentence(approval['quote'])}\nIt waits for: kowai approve {subject_id}, or decline.", err=True)


def _decide(subject: str, choice: dict[str, Any], url: str | None, key: str | None) -> None:
    from deployments.commands.api import Api

    with Api(url, key) as api:
        made = api.post(f"/api/v1/approvals/{subject}/decision", choice)
    typer.echo(f"{'Approved' if choice['approve'] else 'Declined'}: {_sentence(made['quote'])}")


def _sentence(quote: dict[str, Any]) -> str:
    from kowai.quotes import Quote

    return Quote.model_validate(quote).sentence
