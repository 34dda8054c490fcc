"""Replay an answer."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

if TYPE_CHECKING:
    from rich.console import Console

QueryId = Annotated[str, typer.Argument(help="The query_id that came with the answer.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Ask the model anew, which is paid, not its stored reply.")]


def replay(
    query_id: QueryId,
    fresh: Fresh = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Show what an answer was made of, make it again and show the difference; exit code 1 when there is one."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    path = f"/api/v1/query/{query_id}/replay"
    with Api(url, key) as api:
        record, made = api.get(path), api.post(path, {"fresh": fresh})
    if as_json:
        print_json({"record": record, "replay": made})
    else:
        _print(record, made)
    if not made["identical"]:
        raise typer.Exit(1)


def _print(record: dict[str, Any], made: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    from deployments.commands.printing import place_of, summary

    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(record["question"]), style="bold")
    facts = {"persona": _persona(record), "run": record["flow_run_id"] or "unknown", "asked": record["asked_at"]}
    for name, value in facts.items():
        console.print(Text(f"{name}: {value}"))
    _print_prompt(console, record["prompt"])
    for number, source in enumerate(record["passages"], start=1):
        passage = source["passage"]
        console.print(
            Text(f"{number}. {place_of(passage)}, {_version(source)}  ({passage['score']:.3f})"), style="cyan"
        )
    console.print(Text(f"\n{record['answer']['text']}"))
    console.print(Text(summary(record["answer"] | {"cost": record["cost"]})), style="dim")
    console.print(Text(f"\n{_verdict(made)}"), style="green" if made["identical"] else "yellow")
    if made["difference"]:
        console.print(Text(made["difference"]))


def _print_prompt(console: "Console", prompt: dict[str, Any] | None) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if prompt is None:
        return
    console.print(Text(f"prompt: {prompt['signature']}"))
    shown = {"instructions": prompt["instructions"]} | prompt["inputs"]
    for name, value in shown.items():
        if value and name != "passages":
            console.print(Padding(Text(f"{name}: {value}"), (0, 0, 0, 4)), style="dim")


def _persona(record: dict[str, Any]) -> str:
    then, now = record["persona_version"], record["current_persona_version"]
    return f"{record['persona']}, version {then or 'unknown'}" + (f" (now {now})" if then and now != then else "")


def _version(source: dict[str, Any]) -> str:
    then, now = source["passage"]["version"], source["current_version"]
    return f"version {then}" + ("" if now == then else " (deleted since)" if now is None else f" (now {now})")


def _verdict(made: dict[str, Any]) -> str:
    how = "asked anew" if made["fresh"] else "from what was stored"
    cost = "unknown" if made["cost"] is None else f"{made['cost']} USD"
    return f"replayed {how}: {'identical to the byte' if made['identical'] else 'different'} | cost {cost}"
