"""`kowai scale`: where flows run."""

from typing import Annotated

import typer

from deployments.commands.options import State

Kind = Annotated[str, typer.Argument(help="docker, kubernetes, or laptop to move them back here.")]
Names = Annotated[list[str] | None, typer.Argument(help="Deployments to move; default: all of them.")]
Image = Annotated[str | None, typer.Option(help="The image to run, built from infra/Dockerfile.")]
Variables = Annotated[
    list[str] | None, typer.Option("--env", help="NAME=VALUE for the runs, such as KOWAI_APP_DATABASE_URL=...")
]
Volumes = Annotated[list[str] | None, typer.Option("--volume", help="Docker: HOST:CONTAINER[:ro].")]
Network = Annotated[str | None, typer.Option(help="Docker: the network mode, such as host.")]
PoolName = Annotated[str | None, typer.Option("--pool", help="The work pool's name; default: its kind.")]


def scale(
    kind: Kind,
    names: Names = None,
    *,
    image: Image = None,
    env: Variables = None,
    volume: Volumes = None,
    network: Network = None,
    pool: PoolName = None,
    state: State = None,
) -> None:
    """Write a work pool, image and variables into Prefect and move deployments there; no flow is edited."""
    import asyncio
    import os

    from deployments.local.environment import application
    from deployments.local.layout import configured, layout
    from kowai.errors import InvalidInput

    if faulty := [pair for pair in env or [] if "=" not in pair]:
        raise InvalidInput(f"'{faulty[0]}' is not of the form NAME=VALUE.")
    os.environ.update(application(layout(), configured()))
    from deployments.scale import scale_back, scale_out

    variables = {
        "image": image,
        "env": dict(pair.split("=", 1) for pair in env or []),
        "volumes": volume,
        "network_mode": network,
    }
    given = {name: value for name, value in variables.items() if value}
    work = scale_back(names or []) if kind == "laptop" else scale_out(kind, names or [], given, pool)
    moved = asyncio.run(work)
    typer.echo(f"{', '.join(moved)}: run by the work pool '{'laptop' if kind == 'laptop' else pool or kind}'.")
    if kind != "laptop":
        typer.echo(f"Start its worker: prefect worker start --pool {pool or kind} --type {kind}")
