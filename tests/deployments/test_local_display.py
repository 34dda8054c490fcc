from io import StringIO

import pytest
from rich.console import Console

from deployments.local.display import LiveDisplay, PlainDisplay


def test_a_pipe_gets_one_plain_line_per_event(capsys: pytest.CaptureFixture[str]) -> None:
    shown = PlainDisplay()
    shown.begin(["postgres", "shim"])
    shown.started("postgres")
    shown.ready("postgres", 0.25)
    shown.end()
    assert capsys.readouterr().out == "Starting postgres, shim ...\npostgres: ready after 0.2 s\n"


def test_a_terminal_sees_every_process_until_it_is_ready_and_hears_of_restarts_afterwards() -> None:
    screen = StringIO()
    shown = LiveDisplay(Console(file=screen, force_terminal=True, width=100))
    shown.begin(["postgres", "shim"])
    shown.started("postgres")
    shown.ready("postgres", 0.25)
    shown.started("shim")
    shown.ready("shim", 4.0)
    shown.end()
    assert "postgres: ready" in screen.getvalue()
    shown.tell("shim was killed by signal 9: [red]not markup[/red]")
    shown.started("shim")
    shown.ready("shim", 3.0)
    assert "[red]not markup[/red]" in screen.getvalue()
    assert screen.getvalue().endswith("shim: ready again after 3.0 s\n")
