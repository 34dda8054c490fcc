"""Ask and search."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

AsOf = Annotated[str | None, typer.Option("--as-of", help="Use what was known then, as 2026-01-31T12:00Z.")]
Question = Annotated[str, typer.Argument(help="What you want to know.")]


def ask(
    question: Question,
    persona: Annotated[
        str, typer.Option("--persona", "-p", help="Who answers; auto chooses by what you ask.")
    ] = "assistant",
    as_of: AsOf = None,
    *,
    conversation: Annotated[str | None, typer.Option("--conversation", "-c", help="Ask in this one.")] = None,
    stream: Annotated[
        bool | None, typer.Option("--stream/--no-stream", help="Show the words as they come; default: on a terminal.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Answer a question from your documents, with citations; Ctrl-C stops the answer and what it costs."""
    from deployments.commands.api import Api
    from deployments.commands.hearing import answered
    from deployments.commands.printing import print_answer, print_json

    within = {"conversation_id": conversation} if conversation else {}
    asked = {"query": question, "persona": persona, **within} | moment(as_of)
    with Api(url, key) as api:
        heard = answered(api, asked, False if as_json else stream)
    if as_json:
        print_json(heard.reply)
    else:
        print_answer(*heard)
    if heard.reply.get("error"):
        raise typer.Exit(1)


def search(
    text: Question,
    k: Annotated[int, typer.Option("-k", "--passages", min=1, max=1000, help="How many passages.")] = 10,
    as_of: AsOf = None,
    *,
    min_score: Annotated[float, typer.Option(min=0, max=1, help="How well they must match.")] = 0.0,
    neighbours: Annotated[int, typer.Option(min=0, max=5, help="Chunks before and after to join to each.")] = 0,
    reranker: Annotated[str | None, typer.Option(help="Who puts the best in order.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Find the passages nearest to a text, without an answer."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json, print_passages

    with Api(url, key) as api:
        asked = {"query": text, "k": k, "min_score": min_score, "neighbours": neighbours}
        asked |= {"reranker": reranker} if reranker else {}
        found: dict[str, Any] = api.post("/api/v1/search", asked | moment(as_of))
    (print_json if as_json else print_passages)(found)


def moment(as_of: str | None) -> dict[str, str]:
    return {"as_of": as_of} if as_of else {}
