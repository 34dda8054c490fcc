"""The first minutes: the sample corpus, one question with its cited answer, the addresses and the key."""

import subprocess
import sys
import time
from collections.abc import Callable

import typer

from deployments.local import environment
from deployments.local.layout import Layout
from deployments.local.secret_files import read_secret
from deployments.local.stack import python
from deployments.local.supervisor import TICK_SECONDS
from kowai.settings import Settings

SAMPLES = environment.CODE / "samples"
HANDBOOK = SAMPLES / "handbook"


def demonstrate(place: Layout, settings: Settings, keep_going: Callable[[], bool]) -> None:
    """Ingest the samples and ask their question, once per state; `keep_going` is called often until it says no."""
    question = SAMPLES / "QUESTION.txt"
    if place.demonstrated.exists() or not question.exists():
        return
    asked = question.read_text().strip()
    key = read_secret(place.secrets, "api-key")
    surroundings = environment.shared(place, settings) | {
        "KOWAI_URL": environment.shim_url(settings),
        "KOWAI_API_KEY": key,
    }
    typer.echo(f"\nReading {HANDBOOK}")
    succeeded = follow(python("deployments.cli", "ingest", str(HANDBOOK)), surroundings, keep_going)
    typer.echo(f"\nAsking: {asked}")
    if succeeded and follow(python("deployments.cli", "ask", asked), surroundings, keep_going):
        place.demonstrated.touch()


def follow(command: tuple[str, ...], surroundings: dict[str, str], keep_going: Callable[[], bool]) -> bool:
    """Run a command on this terminal and return whether it succeeded; end it when there is no reason to keep going."""
    process = subprocess.Popen(command, env=surroundings, start_new_session=True)  # noqa: S603
    while process.poll() is None:
        if not keep_going():
            process.terminate()
        time.sleep(TICK_SECONDS)
    return process.returncode == 0


def greet(place: Layout, settings: Settings) -> None:
    """Print where everything is; the first time, the key as well; the ready line last and alone."""
    url = environment.shim_url(settings)
    prefect = environment.own_prefect(settings) or environment.embedded_prefect_url(settings)
    typer.echo(f"\nChat: {url}/")
    typer.echo(f"API and its documentation: {url}/docs")
    typer.echo(f"Prefect UI: {prefect.removesuffix('/api')}")
    if environment.own_prefect(settings) is None:
        typer.echo(f"  (it asks for the text in {place.secrets / 'prefect-auth'})")
    show_first_key(place)
    typer.echo(f"KowAI is ready: {url}")
    sys.stdout.flush()


def show_first_key(place: Layout) -> None:
    """Print the first API key once per state; later `kowai key` does."""
    if not place.greeted.exists():
        typer.echo(f"Your API key, also in {place.secrets / 'api-key'}: {read_secret(place.secrets, 'api-key')}")
        place.greeted.touch()
