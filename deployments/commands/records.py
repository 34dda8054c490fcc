"""Documents in a .jsonl file, one a line, read one at a time however large the file is."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from deployments.commands.sending import Parcel
from deployments.commands.tally import Tally
from kowai.jsonl import MAX_LINE_BYTES, BadLine, parse

SKIPPED_AT_ONCE = 1 << 20


class Lines:
    """Iterate over a file's lines without ever holding more than one, and no more of it than may be read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.size = file, 0

    def __iter__(self) -> Iterator[bytes]:
        while line := self.file.readline(MAX_LINE_BYTES + 2):
            self.size = len(line)
            rest = line
            while not rest.endswith(b"\n") and (rest := self.file.readline(SKIPPED_AT_ONCE)):
                self.size += len(rest)
            yield line


def read_records(path: Path, tally: Tally) -> Iterator[Parcel]:
    """Yield the documents of a file, as the API takes them; lines without one are dead. Raises OSError."""
    with path.open("rb") as file:
        lines = Lines(file)
        for found in parse(lines, path.name):
            if isinstance(found, BadLine):
                tally.bury(f"{path}:{found.line}", found.error.code, found.error.sentence)
            else:
                fields = {"_id": found.id, "title": found.title, "text": found.text, "metadata": found.metadata}
                yield Parcel(found.id, lines.size, fields)
