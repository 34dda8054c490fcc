"""Hold a conversation, rate its answers, and say how you like to be answered."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

if TYPE_CHECKING:
    from deployments.commands.api import Api

COLUMNS = ("query_id", "rating", "persona", "question", "comment")
LENGTHS = "short, normal or long"
TONES = "plain, friendly or formal"


def chat(
    conversation: Annotated[str | None, typer.Option("--conversation", "-c", help="Go on with this one.")] = None,
    persona: Annotated[str, typer.Option("--persona", "-p", help="Who answers; auto chooses each time.")] = "assistant",
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Hold a conversation with your documents; an empty line or Ctrl-D ends it."""
    from deployments.commands.api import Api, Refused
    from deployments.commands.hearing import answered
    from deployments.commands.printing import print_answer

    with Api(url, key) as api:
        found = api.get(f"/api/v1/conversations/{conversation}") if conversation else api.post("/api/v1/conversations")
        typer.echo(f"Conversation {found['id']}")
        while question := _line():
            asked = {"query": question, "persona": persona, "conversation_id": found["id"]}
            try:
                print_answer(*answered(api, asked))
            except Refused as refusal:
                typer.echo(f"kowai: {refusal.sentence}", err=True)


def conversations(url: Url = None, key: Key = None, as_json: Json = False, state: State = None) -> None:
    """List your conversations."""
    with _api(url, key) as api:
        found = api.get("/api/v1/conversations")
    _print(found, ("id", "turns", "created_at", "title"), as_json, "You have no conversations.")


def rate(
    query_id: Annotated[str, typer.Argument(help="The answer's query id.")],
    rating: Annotated[str, typer.Argument(help="up or down")],
    comment: Annotated[str | None, typer.Option("--comment", "-m", help="Why.")] = None,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Say whether an answer was good."""
    with _api(url, key) as api:
        api.post(f"/api/v1/query/{query_id}/feedback", {"rating": rating, "comment": comment})


def feedback(
    rating: Annotated[str | None, typer.Option("--rating", help="Only up or down.")] = None,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
    state: State = None,
) -> None:
    """List what callers thought of answers."""
    with _api(url, key) as api:
        found = api.get(f"/api/v1/feedback{f'?rating={rating}' if rating else ''}")
    _print(found, COLUMNS, as_json, "Nobody has rated an answer yet.")


def preferences(
    tone: Annotated[str | None, typer.Option("--tone", help=TONES)] = None,
    language: Annotated[str | None, typer.Option("--language", help="As a tag: en, de-AT ...")] = None,
    length: Annotated[str | None, typer.Option("--length", help=LENGTHS)] = None,
    *,
    clear: Annotated[bool, typer.Option("--clear", help="Forget what is not given.")] = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Show how your questions are answered, or change it."""
    from deployments.commands.printing import print_json

    given = {"tone": tone, "language": language, "length": length}
    changed = {name: value for name, value in given.items() if value is not None}
    with _api(url, key) as api:
        kept: dict[str, Any] = {} if clear else api.get("/api/v1/preferences")
        print_json(api.put("/api/v1/preferences", kept | changed) if changed or clear else kept)


def _api(url: str | None, key: str | None) -> "Api":
    from deployments.commands.api import Api

    return Api(url, key)


def _line() -> str:
    try:
        return input("> ").strip()
    except EOFError:
        return ""


def _print(rows: Any, columns: tuple[str, ...], as_json: bool, nothing: str) -> None:
    from rich.markup import escape

    from deployments.commands.printing import is_empty, open_console, print_json, table

    if as_json:
        return print_json(rows)
    if is_empty(rows, nothing):
        return
    made = table(*(column.replace("_", " ") for column in columns))
    for row in rows:
        made.add_row(*("" if row[column] is None else escape(str(row[column])) for column in columns))
    open_console().print(made)
