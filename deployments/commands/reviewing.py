"""Review documents that guards hold back."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, Url

Id = Annotated[str | None, typer.Argument(help="Which document; none: list those that wait.")]
Release = Annotated[bool, typer.Option("--release", help="Index it.")]
Reject = Annotated[bool, typer.Option("--reject", help="Leave it out for good.")]


def quarantine(
    held_id: Id = None,
    release: Release = False,
    reject: Reject = False,
    url: Url = None,
    key: Key = None,
    *,
    as_json: Json = False,
) -> None:
    """List documents that guards hold back, show one, release or reject it."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    if (release or reject) and (not held_id or release == reject):
        raise typer.BadParameter("Name one document and one decision.")
    path = "/api/v1/quarantine" + (f"/{held_id}" if held_id else "")
    with Api(url, key) as api:
        decision = "release" if release else "reject" if reject else None
        reply = api.post(f"{path}/{decision}") if decision else api.get(path)
    if as_json:
        print_json(reply)
    else:
        _print(reply.get("documents", [reply]))


def _print(held: list[dict[str, Any]]) -> None:
    from rich.text import Text

    from deployments.commands.printing import open_console

    console = open_console()
    if not held:
        console.print("Nothing waits in the quarantine.")
    for document in held:
        console.print(Text(f"{document['id']}  {document['state']}  {document['external_id']}"))
        for seen in document["passages"]:
            console.print(Text(f"  {seen['guard']} {seen['kind']} ({seen['score']:.2f}) at {seen['start']:,}:"))
            console.print(Text.assemble("    …", seen["before"], (seen["text"], "bold"), seen["after"], "…"))
