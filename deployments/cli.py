"""The command `kowai`: parse, call one function, print. Commands import what they need when they run."""

import sys

import typer

from deployments.commands import (
    allowing,
    asking,
    auditing,
    batching,
    conversing,
    counting,
    entering,
    evaluating,
    experimenting,
    flowing,
    graphing,
    guarding,
    holding,
    hosting,
    ingesting,
    inspecting,
    measuring,
    optimising,
    promoting,
    reindexing,
    replaying,
    retaining,
    reviewing,
    running,
    scaling,
    sourcing,
    spending,
    teaming,
)
from deployments.commands.projecting import appwrite
from kowai.errors import KowaiError

app = typer.Typer(
    name="kowai",
    help="Ask your documents; every answer is cited, every run is a Prefect flow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (reindexing.reindex, graphing.graph):
    app.command()(command)
for command in (running.up, running.down, running.worker, scaling.scale):
    app.command()(command)
for command in (inspecting.status, inspecting.doctor, inspecting.key, inspecting.version):
    app.command()(command)
for command in (asking.ask, asking.search, replaying.replay, ingesting.ingest):
    app.command()(command)
for command in (teaming.team, teaming.teams, measuring.bench, spending.costs, counting.analytics):
    app.command()(command)
for command in (evaluating.evaluate, evaluating.evaluations, evaluating.draw_suite):
    app.command()(command)
for command in (promoting.promote, promoting.promotions, optimising.optimise, optimising.optimisations):
    app.command()(command)
for command in (experimenting.experiment, experimenting.experiments, experimenting.flags):
    app.command()(command)
for command in (guarding.guards, reviewing.quarantine, retaining.retention):
    app.command()(command)
for command in (holding.documents, holding.forget):
    app.command()(command)
for command in (entering.login, entering.logout, allowing.allowances):
    app.command()(command)
for group in (batching.app, entering.users, entering.keys, auditing.audit, hosting.tenants, flowing.workflows):
    app.add_typer(group)
app.command("replay-dead-letters")(holding.replay)
app.add_typer(sourcing.app, name="sources")
app.add_typer(appwrite)
for command in (
    conversing.chat,
    conversing.conversations,
    conversing.rate,
    conversing.feedback,
    conversing.preferences,
):
    app.command()(command)


def main() -> None:
    """Run a command; an error that KowAI knows becomes its sentence and exit code 1, or 2 when KowAI is not running."""
    try:
        app()
    except KowaiError as error:
        typer.echo(f"kowai: {error.sentence}", err=True)
        sys.exit(2 if error.code == "not_running" else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
