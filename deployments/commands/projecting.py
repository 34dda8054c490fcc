"""Bring a project of Appwrite to what KowAI needs of it."""

import typer

from deployments.commands.options import Json, Key, Url

appwrite = typer.Typer(name="appwrite", help="Prepare a project of Appwrite.", no_args_is_help=True)


@appwrite.callback()
def group() -> None:
    """Keep `apply` a command of a group, though it is the only one."""


@appwrite.command("apply")
def apply_project(url: Url = None, key: Key = None, as_json: Json = False) -> None:
    """Make the teams, bucket and tables of the block kowai-appwrite that are missing; safe to repeat."""
    from deployments.commands.api import Api
    from deployments.commands.printing import print_json

    with Api(url, key) as api:
        applied = api.post("/api/v1/appwrite/apply")
    if as_json:
        return print_json(applied)
    typer.echo("\n".join(f"made {each}" for each in applied["made"]) or "All is there already.")
