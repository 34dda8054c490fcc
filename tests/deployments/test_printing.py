"""What a person reads on a terminal, a program reads from a pipe."""

import os
import pty
import subprocess
import sys

SHOW = (
    "from deployments.commands.printing import open_console, table;"
    f"made = table('document', 'id'); made.add_row('a' * 90, '{'7' * 36}'); open_console().print(made)"
)
NARROW = os.environ | {"COLUMNS": "80"}


def test_a_row_is_one_line_in_a_pipe_however_narrow_the_terminal() -> None:
    shown = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, env=NARROW, check=True)
    assert [line.split() for line in shown.stdout.splitlines()] == [["document", "id"], ["a" * 90, "7" * 36]]


def test_an_id_stays_whole_on_a_terminal_and_the_other_columns_wrap() -> None:
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", SHOW], stdout=theirs, env=NARROW | {"TERM": "dumb"}, check=True)
    os.close(theirs)
    with os.fdopen(ours) as screen:
        shown = [screen.readline() for _ in range(4)]
    assert sum("7" * 36 in line for line in shown) == 1
    assert max(map(len, shown)) <= 82
