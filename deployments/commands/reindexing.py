"""Move all knowledge to another embedding model."""

import time
from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

PAUSE_SECONDS = 2.0


def reindex(
    embedder: Annotated[str, typer.Option(help="The Prefect block, of type KowAI Embedder, to move to.")] = "kowai",
    wait: Annotated[bool, typer.Option(help="Wait until it is done.")] = True,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Build an embedder's vector space beside the current one and switch to it when it finds as much."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    with Api(url, key) as api:
        listed = api.post("/api/v1/reindex", {"embedder": embedder})["spaces"]
        while wait and not _is_decided(space := _named(listed, embedder)):
            time.sleep(PAUSE_SECONDS)
            listed = api.get("/api/v1/spaces")["spaces"]
    if as_json:
        return print_json({"spaces": listed})
    space = _named(listed, embedder)
    typer.echo(f"{space['model']} ({space['dimensions']} dimensions) is {space['state']}{_compared(space)}")
    if wait and space["state"] != "current":
        raise typer.Exit(1)


def _named(listed: list[dict[str, Any]], embedder: str) -> dict[str, Any]:
    """Return the newest space of the embedder: a space that was current is older."""
    order = ("building", "current", "retired", "dropping")
    return min((space for space in listed if space["embedder"] == embedder), key=lambda one: order.index(one["state"]))


def _is_decided(space: dict[str, Any]) -> bool:
    """Tell whether nothing more happens today: what waits for money goes on at night."""
    return space["state"] != "building" or "waiting" in space["evaluation"]


def _compared(space: dict[str, Any]) -> str:
    found = space["evaluation"]
    if waiting := found.get("waiting"):
        return f" at night, as money is waited for: chunks {waiting['chunks']}, tenants {waiting['tenants']}."
    if not found.get("questions"):
        return "; there are no stored questions to compare it by."
    return f": it finds {found['recall']} of what {found['questions']} stored answers cite, the one before " + (
        f"{found['recall_before']}." if found["recall_before"] is not None else "could not be asked."
    )
