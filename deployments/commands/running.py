"""Start and stop KowAI on this computer."""

from typing import Annotated

import typer

from deployments.commands.options import State, Tls


def up(
    bare: Annotated[bool, typer.Option("--bare", help="Start without the samples and the first question.")] = False,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once it is ready.")] = False,
    detached: Annotated[bool, typer.Option("--detached", hidden=True)] = False,
    tls: Tls = None,
    state: State = None,
) -> None:
    """Start everything: PostgreSQL, Prefect with its UI, a worker and the API. Ctrl-C stops it in order."""
    from deployments.local.layout import configured, layout

    if detach:
        from deployments.local.background import run_in_background

        run_in_background(layout(), bare=bare)
    else:
        from deployments.local.run import run

        run(layout(), configured(), bare=bare, detached=detached)


def down(state: State = None) -> None:
    """Stop the KowAI that runs on this state directory, detached or not."""
    from deployments.local.background import stop_running
    from deployments.local.layout import layout

    stop_running(layout())


def worker(state: State = None) -> None:
    """Run one more worker of the work pool, here and now, with this state directory's connections."""
    import os

    from deployments.local.environment import application
    from deployments.local.layout import configured, layout
    from deployments.local.stack import python

    command = python("deployments.worker")
    os.execve(command[0], command, application(layout(), configured()))  # noqa: S606
