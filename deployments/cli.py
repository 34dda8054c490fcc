"""The command `kowai`: parse, call one function, print. Commands import what they need when they run."""

import sys
from collections.abc import Callable

import typer

from deployments.commands import (
    allowing,
    approving,
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
    projecting,
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
from kowai.errors import KowaiError

CONTENTS: dict[str, tuple[Callable[..., None] | typer.Typer, ...]] = {
    "Run": (
        running.up,
        running.down,
        inspecting.status,
        inspecting.doctor,
        inspecting.key,
        inspecting.version,
        running.worker,
        scaling.scale,
        measuring.bench,
        flowing.workflows,
    ),
    "Ask": (
        asking.ask,
        conversing.chat,
        asking.search,
        replaying.replay,
        conversing.conversations,
        conversing.preferences,
        conversing.rate,
        conversing.feedback,
        teaming.team,
        teaming.teams,
        batching.batch,
    ),
    "Knowledge": (
        ingesting.ingest,
        holding.documents,
        holding.forget,
        holding.replay_dead_letters,
        reviewing.quarantine,
        retaining.retention,
        graphing.graph,
        reindexing.reindex,
        sourcing.app,
    ),
    "Evaluate and improve": (
        evaluating.evaluate,
        evaluating.evaluations,
        evaluating.draw_suite,
        promoting.promote,
        promoting.promotions,
        optimising.optimise,
        optimising.optimisations,
        experimenting.experiment,
        experimenting.experiments,
        experimenting.flags,
    ),
    "Costs, limits and access": (
        spending.costs,
        approving.approvals,
        approving.approve,
        approving.decline,
        counting.analytics,
        allowing.allowances,
        guarding.guards,
        entering.login,
        entering.logout,
        entering.users,
        entering.keys,
        auditing.audit,
        hosting.tenants,
        projecting.appwrite,
    ),
}

app = typer.Typer(
    name="kowai",
    help="Ask your documents; every answer is cited, every run is a Prefect flow.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for panel, entries in CONTENTS.items():
    for entry in entries:
        if isinstance(entry, typer.Typer):
            app.add_typer(entry, rich_help_panel=panel)
        else:
            app.command(rich_help_panel=panel)(entry)


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
