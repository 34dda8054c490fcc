"""Look at what is held, replay what died, and delete."""

from typing import Annotated

import typer

from deployments.commands.options import Json, Key, Url

Search = Annotated[str | None, typer.Option("--search", "-s", help="Part of a name or title.")]
MediaType = Annotated[str | None, typer.Option("--media-type", help="Such as application/pdf.")]
SourceId = Annotated[str | None, typer.Option("--source", help="Only what was found in the source of this id.")]
Dead = Annotated[bool, typer.Option("--dead", help="List the dead letters instead, with what to do about them.")]
Duplicates = Annotated[bool, typer.Option("--duplicates", help="List the documents that say what others say.")]
Cause = Annotated[list[str] | None, typer.Option("--cause", help="Only those that died of this; repeatable.")]
Limit = Annotated[int, typer.Option("--limit", help="How many at most.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Ids of dead letters; none: every one.")]
Name = Annotated[str, typer.Argument(help="The document's id, path, URL, file name or `_id`.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def documents(
    search: Search = None,
    media_type: MediaType = None,
    source: SourceId = None,
    dead: Dead = False,
    *,
    duplicates: Duplicates = False,
    limit: Limit = 100,
    url: Url = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """List documents and where everything accepted stands, in total and for each source."""
    from deployments.commands.api import Api
    from deployments.commands.holding_tables import (
        print_accounts,
        print_dead_letters,
        print_documents,
        print_duplicates,
    )
    from deployments.commands.printing import print_json

    if duplicates:
        with Api(url, key) as api:
            (print_json if as_json else print_duplicates)(api.get("/api/v1/documents/duplicates", limit=limit))
        return
    wanted = {"search": search, "media_type": media_type, "source_id": source, "limit": limit}
    with Api(url, key) as api:
        listed = api.get("/api/v1/dead-letters", limit=limit) if dead else api.get("/api/v1/documents", **wanted)
        ledger = api.get("/api/v1/ledger")
    if as_json:
        print_json({**listed, "ledger": ledger})
        return
    (print_dead_letters if dead else print_documents)(listed)
    print_accounts(ledger)


def replay_dead_letters(
    ids: Ids = None, cause: Cause = None, url: Url = None, key: Key = None, as_json: Json = False
) -> None:
    """Read dead letters again; exit code 1 when some are dead still."""
    from deployments.commands.api import Api
    from deployments.commands.holding_tables import print_dead_letters
    from deployments.commands.printing import print_json

    with Api(url, key) as api:
        reply = api.post("/api/v1/dead-letters:replay", {"ids": ids or [], "causes": cause or []})
    (print_json if as_json else print_dead_letters)(reply)
    if reply["dead_letters"]:
        raise typer.Exit(1)


def forget(name: Name, yes: Yes = False, url: Url = None, key: Key = None, as_json: Json = False) -> None:
    """Delete a document, in whatever state it is, and everything that quotes it; print the certificate."""
    from deployments.commands.api import Api
    from deployments.commands.holding_tables import print_certificate
    from deployments.commands.printing import print_json

    if not yes:
        typer.confirm(f"Delete {name} and every answer that quotes it, for good?", abort=True)
    with Api(url, key) as api:
        path, query = (f"/{name}", {}) if is_id(name) else ("", {"external_id": name})
        certificate = api.delete(f"/api/v1/documents{path}", **query)
    (print_json if as_json else print_certificate)(certificate)


def is_id(name: str) -> bool:
    from uuid import UUID

    try:
        UUID(name)
    except ValueError:
        return False
    return True
