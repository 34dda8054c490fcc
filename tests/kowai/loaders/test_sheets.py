import datetime
import io
from typing import Any

import pytest
from openpyxl import Workbook

from kowai.errors import Bomb, Corrupt
from kowai.loaders.sheets import load
from tests.kowai.loaders.office_files import packed


def xlsx(**sheets: list[list[Any]]) -> bytes:
    workbook = Workbook()
    workbook.remove(workbook.worksheets[0])
    for title, rows in sheets.items():
        sheet = workbook.create_sheet(title)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    workbook.save(file)
    return file.getvalue()


def test_rows_are_lines_under_the_names_of_their_sheet_and_columns() -> None:
    day = datetime.datetime(2025, 3, 1)
    document = load(xlsx(Sales=[["Day", "Amount"], [day, 1.5], [None, None], [day, True]], Empty=[]), "a.xlsx")
    assert document.text.strip() == "Sales\n\nDay | Amount\n2025-03-01 | 1.5\n2025-03-01 | TRUE"
    assert [(heading.level, heading.title) for heading in document.headings] == [(1, "Sales"), (2, "Day | Amount")]
    assert document.text[document.headings[1].start :].startswith("Day")
    assert document.content_type == "data"


def test_columns_without_names_are_no_heading() -> None:
    assert [heading.title for heading in load(xlsx(Numbers=[[1, 2], [3, 4]]), "a.xlsx").headings] == ["Numbers"]


def test_a_damaged_workbook_is_corrupt_and_a_bomb_is_one() -> None:
    for data in (xlsx(A=[["x"]])[:-400], packed({"xl/workbook.xml": "<x/>"}), b"PK\x03\x04"):
        with pytest.raises(Corrupt):
            load(data, "a.xlsx")
    with pytest.raises(Bomb):
        load(packed({"xl/workbook.xml": "<x/>", "xl/worksheets/sheet1.xml": b"0" * 60_000_000}), "a.xlsx")
