"""Let personas learn better prompts."""

from typing import Annotated, Any

import typer

from deployments.commands.options import ApproveAbove, Dry, Json, Key, State, Url

PAUSE_SECONDS = 1.0
REFUSED = 3  # 2 means that KowAI is not running

Persona = Annotated[str, typer.Argument(help="Whose prompt is to become better.")]
Suite = Annotated[str, typer.Argument(help="Half of it is learned from, the other half decides.")]
Optimiser = Annotated[str, typer.Option("--optimiser", "-o", help="bootstrap, simba, gepa or mipro.")]
Dollars = Annotated[float, typer.Option("--dollars", min=0, help="What the search may cost.")]
Minutes = Annotated[float, typer.Option("--minutes", min=0, help="How long the search may take.")]
Optimisation = Annotated[str | None, typer.Argument(help="An optimisation's id; left out: list the newest.")]
Artefact = Annotated[bool, typer.Option("--artefact", help="Print the prompt as the JSON that DSPy loads.")]


def optimise(
    persona: Persona,
    suite: Suite,
    optimiser: Optimiser = "bootstrap",
    dollars: Dollars = 1.0,
    minutes: Minutes = 60.0,
    *,
    dry_run: Dry = False,
    approve_above: ApproveAbove = 1.0,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    state: State = None,
) -> None:
    """Search a better prompt; exit code 3 when none is found or the gate refuses it, 1 when it is broken."""
    import time

    from deployments.commands.api import Api
    from deployments.commands.approving import note_waiting
    from deployments.commands.printing import print_json, print_quote

    wanted = {"persona": persona, "suite": suite, "optimiser": optimiser, "dry_run": dry_run}
    limits = {"dollars": dollars, "minutes": minutes}
    wanted |= {"limits": limits, "approve_above": str(approve_above)}
    with Api(url, key) as api:
        made = api.post("/api/v1/optimisations", wanted)
        if dry_run:
            return print_quote(made, as_json)
        note_waiting(made["optimisation_id"], made)
        while not _is_over(made):
            time.sleep(PAUSE_SECONDS)
            made = api.get(f"/api/v1/optimisations/{made['optimisation_id']}")
    print_json(made) if as_json else _print(made)
    if "broken" in (made["outcome"], made["promotion"]):
        raise typer.Exit(1)
    raise typer.Exit(0 if made["promotion"] == "promoted" else REFUSED)


def optimisations(
    optimisation: Optimisation = None,
    artefact: Artefact = False,
    as_json: Json = False,
    url: Url = None,
    key: Key = None,
    *,
    state: State = None,
) -> None:
    """List searches for better prompts, show one, or print what it learned."""
    from deployments.commands.api import Api
    from deployments.commands.printing import is_empty, print_json

    with Api(url, key) as api:
        if optimisation and artefact:
            return print_json(api.get(f"/api/v1/optimisations/{optimisation}/artefact"))
        if optimisation:
            found = [api.get(f"/api/v1/optimisations/{optimisation}")]
        else:
            found: list[dict[str, Any]] = api.get("/api/v1/optimisations")
    if as_json:
        return print_json(found[0] if optimisation else found)
    if is_empty(found, "No better prompt was searched for yet."):
        return
    for each in found:
        _print(each)


def _is_over(made: dict[str, Any]) -> bool:
    return made["outcome"] in ("no_gain", "refused", "broken") or made["promotion"] is not None


def _print(made: dict[str, Any]) -> None:
    told = " ".join(filter(None, (made["sentence"], made["promotion_sentence"])))
    outcome = made["promotion"] or made["outcome"] or "in progress"
    typer.echo(f"{made['optimisation_id']}: {made['persona']} by {made['optimiser']} {outcome}. {told}")
