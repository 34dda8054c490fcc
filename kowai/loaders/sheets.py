"""Workbooks (xlsx, xlsm, xlsb, xls, ods): each sheet under its name, a line a row, its columns' names as a heading."""

import datetime
import io
from collections.abc import Iterator, Sequence
from typing import Any

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetTypeEnum

from kowai.errors import Corrupt, Encrypted
from kowai.loaders import Limits, Loader
from kowai.parts import Parts
from kowai.prose import LINE, Prose, bound
from kowai.types import LoadedDocument

EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MEDIA_TYPES = frozenset(
    (EXCEL, "application/vnd.ms-excel", "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.ms-excel.12")
)
SHEET_SUFFIXES = frozenset((".xlsx", ".xlsm", ".xltx", ".xlsb", ".xls", ".ods"))
LONGEST_COLUMNS = 300


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    if data.startswith(b"PK"):
        _weigh(data, name, limits)
    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
        kinds = {sheet.name: sheet.typ for sheet in workbook.sheets_metadata}
        sheets = [
            _sheet(title, workbook.get_sheet_by_name(title).to_python(skip_empty_area=True))
            for title in workbook.sheet_names
            if kinds[title] == SheetTypeEnum.WorkSheet
        ]
    except PasswordError as error:
        raise Encrypted(f"{name} is locked by a password: save it without one.", operator=str(error)) from error
    except (CalamineError, OSError, ValueError, OverflowError) as error:
        raise Corrupt(f"{name} is damaged: export or download it again.", operator=str(error)[:500]) from error
    text, headings, _ = bound(sheets)
    return LoadedDocument(text=text, media_type=EXCEL, content_type="data", headings=headings)


def _weigh(data: bytes, name: str, limits: Limits) -> None:
    """Unpack the sheets once within the limits, so that a bomb goes off here and not in the parser."""
    parts = Parts(data, name, limits)
    if b"encryption-data" in parts.read("META-INF/manifest.xml"):
        raise Encrypted(f"{name} is locked by a password: save it without one.")
    for part in parts.names:
        if part.endswith((".xml", ".bin")):
            parts.read(part)


def _sheet(title: str, rows: Sequence[Sequence[Any]]) -> Prose:
    prose = Prose()
    lines = [line for row in rows if any(line := [_cell(value) for value in row])]
    if lines:
        prose.open_heading(1)
        prose.words(title)
        prose.close_heading()
    for number, line in enumerate(lines):
        prose.gap(LINE)
        names = number == 0 and len(lines) > 1 and _names_columns(line)
        if names:
            prose.note_heading(2, " | ".join(line)[:LONGEST_COLUMNS])
        prose.words(" | ".join(_trimmed(line)))
    return prose


def _names_columns(line: Sequence[str]) -> bool:
    """Say whether a sheet's first row names its columns: several texts, none of them a number."""
    named = [value for value in line if value]
    return len(named) > 1 and not any(value.replace(".", "").replace("-", "").isdecimal() for value in named)


def _trimmed(line: Sequence[str]) -> Iterator[str]:
    last = max(index for index, value in enumerate(line) if value)
    yield from line[: last + 1]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    if isinstance(value, datetime.datetime):
        return value.isoformat(" ", "seconds").removesuffix(" 00:00:00")
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return " ".join(str(value).split())


SHEETS = Loader("a workbook", SHEET_SUFFIXES, MEDIA_TYPES, load)
