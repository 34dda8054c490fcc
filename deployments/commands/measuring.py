"""`kowai bench`: what KowAI costs on this machine."""

from pathlib import Path
from typing import Annotated

import typer

Only = Annotated[str, typer.Option(help="Sections, such as start,chat; an unknown one lists them all.")]
Documents = Annotated[int, typer.Option(min=100, help="How many documents of one chunk each to index and ask about.")]
Runs = Annotated[int, typer.Option(min=1, help="How many starts to take the median of.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file as well.")]


def bench(only: Only = "", documents: Documents = 10_000, runs: Runs = 5, json: Json = None) -> None:
    """Start a KowAI of its own in a temporary directory, feed it, ask it, and print what that took."""
    from deployments.bench.figures import Figure, as_json, machine
    from deployments.bench.run import chosen, measure

    before, figures = machine(), list[Figure]()
    for figure in measure(chosen(only), documents=documents, runs=runs):
        typer.echo(str(figure))
        figures.append(figure)
        if json is not None:
            json.write_text(as_json(figures, before))
