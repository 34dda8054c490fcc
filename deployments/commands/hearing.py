"""Hear an answer while it is written, over server-sent events (WHATWG HTML, 9.2)."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from deployments.commands.api import ATTEMPTS, Api, Refused
from kowai.errors import Unavailable

Show = Callable[[str], None]

UNHEARD = (404, 405, 406, 429, 501)  # nothing is streamed here or just now, and a plain question may still be answered


class Heard(NamedTuple):
    """Hold a checked answer, and the words that were left standing on the output while it was written."""

    reply: dict[str, Any]
    words: str = ""


class Told(NamedTuple):
    id: str
    event: str
    data: dict[str, Any]


def answered(api: Api, asked: dict[str, Any], stream: bool | None = None) -> Heard:
    """Return the answer, its words shown as they come if that is wanted; by default on a terminal."""
    if not (sys.stdout.isatty() if stream is None else stream):
        return Heard(api.post("/api/v1/query", asked))
    console = Console(highlight=False)
    try:
        if not console.is_terminal:
            plain = Plain()
            return Heard(hear(api, asked, plain.show), plain.end())
        with Live(console=console, transient=True, refresh_per_second=20) as live:
            return Heard(hear(api, asked, lambda words: live.update(_tail(words, console))))
    except KeyboardInterrupt:
        typer.echo("Stopped: nothing more is spent on this answer.", err=True)
        raise


def hear(api: Api, asked: dict[str, Any], show: Show) -> dict[str, Any]:
    """Return the checked answer, having shown all that was told of it each time there was more.

    A lost connection is picked up where it broke; where nothing can be streamed, the question is put plainly. Leaving,
    by Ctrl-C too, closes the connection, and the server then stops what is spent. Raises what `Api.post` does.
    """
    query_id = last = None
    words = ""
    for _ in range(ATTEMPTS):
        path = f"/api/v1/chat/{query_id}/events" if query_id else "/api/v1/chat"
        try:
            with api.stream("GET" if query_id else "POST", path, None if query_id else asked, last) as response:
                query_id = response.headers.get("X-Query-Id", query_id)
                if "text/event-stream" not in response.headers.get("Content-Type", ""):
                    break
                for told in events(response):
                    last, words = told.id, _words(told, words)
                    show(words)
                    if told.event == "answer":
                        return told.data
        except Refused as refusal:
            if query_id is None and refusal.status not in UNHEARD:
                raise
            break
        except Unavailable:
            if query_id is None:
                raise
    return api.get(f"/api/v1/query/{query_id}") if query_id else api.post("/api/v1/query", asked)


def events(response: httpx.Response) -> Iterator[Told]:
    """Yield the events of a reply that have a name and JSON for data."""
    frame: dict[str, str] = {}
    for line in response.iter_lines():
        name, _, value = line.partition(": ")
        if not line and "data" in frame:
            yield Told(frame.get("id", ""), frame.get("event", ""), json.loads(frame["data"]))
        frame = frame | {name: value} if line else {}


def _words(told: Told, words: str) -> str:
    if told.event == "started":  # what was told before is void
        return ""
    return words + str(told.data["text"]) if told.event == "text" else words


class Plain:
    """Write what is new; words that are void are left standing above those that replace them."""

    def __init__(self) -> None:
        self._written = ""

    def show(self, words: str) -> None:
        if not words.startswith(self._written):
            self._written = ""
            sys.stdout.write("\n")
        sys.stdout.write(words[len(self._written) :])
        sys.stdout.flush()
        self._written = words

    def end(self) -> str:
        """End the line if there is one, and return what stands on it."""
        sys.stdout.write("\n" if self._written else "")
        sys.stdout.flush()
        return self._written


def _tail(words: str, console: Console) -> Text:
    """Return the last lines, as many as the terminal shows."""
    lines = Text(words, style="dim").wrap(console, console.width)
    return Text("\n").join(lines[-max(1, console.height - 2) :])
