import json

import pytest

from kowai.errors import Corrupt
from kowai.loaders.notebook import load

CELLS = [
    {"cell_type": "markdown", "source": ["# Otters\n", "They swim."]},
    {"cell_type": "code", "source": "print(1)", "outputs": [{"text": ["1\n"]}, {"data": {"image/png": "AAAA"}}]},
    {"cell_type": "code", "source": "", "outputs": []},
]


def test_text_code_and_what_it_printed_are_read() -> None:
    document = load(json.dumps({"cells": CELLS, "nbformat": 4}).encode(), "a.ipynb")
    assert document.text == "# Otters\nThey swim.\n\n```python\nprint(1)\n```\n\n```text\n1\n```"
    assert document.title == "Otters"
    assert document.content_type == "code"


@pytest.mark.parametrize("data", [b"{", b"[]", b'"x"'])
def test_what_is_no_notebook_says_so(data: bytes) -> None:
    with pytest.raises(Corrupt):
        load(data, "a.ipynb")


@pytest.mark.parametrize(
    "cells", [None, 7, [None, [], {"source": 7}], [{"cell_type": "code", "source": {}, "outputs": 1}]]
)
def test_odd_cells_are_passed_over(cells: object) -> None:
    assert load(json.dumps({"cells": cells, "metadata": []}).encode(), "a.ipynb").text == ""
