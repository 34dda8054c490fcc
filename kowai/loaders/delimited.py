"""CSV and TSV: the file's own characters, under a heading that names the columns."""

import csv
import io
from itertools import islice

from kowai.decoding import decode
from kowai.loaders import Limits, Loader
from kowai.types import Heading, LoadedDocument

DELIMITERS = ",;\t|"
SAMPLE_ROWS = 50
LONGEST_COLUMNS = 300


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    text = decode(data, name, charset)
    columns = _columns(text)
    headings = (Heading(1, " | ".join(columns)[:LONGEST_COLUMNS], 0),) if len(columns) > 1 else ()
    return LoadedDocument(
        text=text, media_type="text/csv", content_type="data", headings=headings, metadata={"columns": columns[:200]}
    )


def _columns(text: str) -> list[str]:
    """Return the names in the first row, read with the delimiter that gives most rows the same number of cells."""
    tables = [_rows(text, delimiter) for delimiter in DELIMITERS]
    rows = max(tables, key=_regularity)
    return [" ".join(cell.split()) for cell in rows[0] if cell.strip()] if rows else []


def _rows(text: str, delimiter: str) -> list[list[str]]:
    try:
        reader = csv.reader(io.StringIO(text[:1_000_000], newline=""), delimiter=delimiter)
        return [row for row in islice(reader, SAMPLE_ROWS) if row]
    except csv.Error:  # a field beyond the module's limit: no table
        return []


def _regularity(rows: list[list[str]]) -> float:
    width = len(rows[0]) if rows else 0
    return sum(len(row) == width for row in rows) * (width > 1)


DELIMITED = Loader(
    "a table of values", frozenset({".csv", ".tsv"}), frozenset({"text/csv", "text/tab-separated-values"}), load
)
