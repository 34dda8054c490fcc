"""Text that can be stored: PostgreSQL and UTF-8 have no place for NUL and for half a surrogate pair."""

import re
from collections.abc import Mapping
from typing import Any, cast

from kowai.errors import InvalidInput

_NOWHERE = re.compile("[\x00\ud800-\udfff]")
SHOWN = 80


class NotStorable(InvalidInput):
    code = "not_storable"


def storable(value: str) -> str:
    """Return the text as it is. Raises NotStorable, which names what is wrong with it."""
    found = _NOWHERE.search(value)
    if found:
        raise NotStorable(f"{value[:SHOWN]!a} holds the character U+{ord(found[0]):04X}, which cannot be stored.")
    return value


def check_storable(value: object) -> None:
    """Raise NotStorable for the first text inside of lists and mappings that is not storable."""
    if isinstance(value, str):
        storable(value)
    elif isinstance(value, Mapping):
        for name, inner in cast("Mapping[Any, Any]", value).items():
            check_storable(name)
            check_storable(inner)
    elif isinstance(value, list | tuple):
        for inner in cast("list[Any]", value):
            check_storable(inner)
