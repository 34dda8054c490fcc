"""Read the audit log and check that nobody changed it."""

from typing import Annotated, Any

import typer

from deployments.commands.options import Json, Key, State, Url

audit = typer.Typer(name="audit", help="Read and verify the audit log.", no_args_is_help=True)
COLUMNS = ("number", "at", "name", "permission", "action", "target", "status", "address")


@audit.command("list")
def list_entries(
    after: Annotated[int, typer.Option(help="The number of the last entry you have.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 100,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show who did what, when and from where, oldest first."""
    from deployments.commands.api import Api
    from deployments.commands.entering import show_rows

    with Api(url, key) as api:
        show_rows(api.get("/api/v1/audit", after=after, limit=limit), COLUMNS, as_json, "There are no more entries.")


@audit.command("verify")
def verify(
    head: Annotated[str | None, typer.Option(help="The hash you noted earlier; the log has to end in it.")] = None,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Recompute the chain: exit code 1 names the first entry that was changed, moved, put in or lost."""
    from deployments.commands.api import Api

    with Api(url, key) as api:
        chain: dict[str, Any] = api.get("/api/v1/audit/verify")
    if chain["broken_at"] is not None:
        typer.echo(f"Entry {chain['broken_at']:,} does not hold: the log was changed.", err=True)
        raise typer.Exit(1)
    if head is not None and head != chain["head"]:
        typer.echo(f"The {chain['entries']:,} entries hold, but they end in {chain['head']}.", err=True)
        raise typer.Exit(1)
    typer.echo(f"All {chain['entries']:,} entries hold. Head: {chain['head']}")
