"""`kowai bench`: what KowAI costs on this machine."""

from pathlib import Path
from typing import Annotated

import typer

Documents = Annotated[int, typer.Option(min=100, help="How many documents of one chunk each to index and ask about.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file as well.")]


def bench(documents: Documents = 10_000, json: Json = None) -> None:
    """Start a KowAI of its own in a temporary directory, feed it, ask it, and print what that took."""
    from deployments.bench import Figure, as_json, measure

    figures: list[Figure] = []
    for figure in measure(documents):
        typer.echo(f"{figure.name:<36} {figure.value:>10.1f} {figure.unit:<9} {figure.bar}")
        figures.append(figure)
    if json is not None:
        json.write_text(as_json(figures))
