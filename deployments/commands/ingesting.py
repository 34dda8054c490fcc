"""Ingest files, folders, globs, .jsonl files and addresses."""

from typing import Annotated

import typer

from deployments.commands.options import Json, Key, State, Url

STOPPED = "Stopped: what was sent goes on being indexed (`kowai documents`); the same command sends the rest."


def ingest(
    sources: Annotated[list[str], typer.Argument(help="Files, folders, globs, .jsonl files or URLs.")],
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Index documents; exit code 1 when some could not be, each listed with its cause."""
    from deployments.commands.api import Api
    from deployments.commands.collecting import ingest_all
    from deployments.commands.printing import print_json, print_tally

    with Api(url, key) as api:
        try:
            tally = ingest_all(sources, api)
        except KeyboardInterrupt:
            typer.echo(STOPPED, err=True)
            raise
    if as_json:
        print_json(tally.as_dictionary())
    else:
        print_tally(tally)
    if tally.dead:
        raise typer.Exit(1)
