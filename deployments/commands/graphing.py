"""Look at what refers to what."""

from typing import Annotated

import typer

from deployments.commands.options import Json, Key, State, Url


def graph(
    document: Annotated[str | None, typer.Argument(help="A document's external_id; none with --export.")] = None,
    to: Annotated[str | None, typer.Option(help="Show the shortest way to this document.")] = None,
    *,
    depth: Annotated[int | None, typer.Option(min=1, max=5, help="How many steps away.")] = None,
    incoming: Annotated[bool, typer.Option("--incoming", help="Show what refers to it instead.")] = False,
    export: Annotated[str | None, typer.Option(help="Write all of it as 'csv' or 'cypher', for Neo4j.")] = None,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Show what a document links to, imports, calls or mentions, and what does so with it."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    if export is None and document is None:
        raise typer.BadParameter("Name a document, or use --export.")
    with Api(url, key) as api:
        if export:
            return typer.echo(api.download("/api/v1/graph/export", {"form": export}).decode(), nl=False)
        if to:
            found = api.get("/api/v1/graph/path", start=document, finish=to, depth=depth)
        else:
            found = api.get("/api/v1/graph", document=document, direction="in" if incoming else "out", depth=depth)
    if as_json:
        return print_json(found)
    for edge in found["edges"]:
        typer.echo(f"{edge['source']} {edge['kind']} {edge['target_document'] or edge['target']}")
