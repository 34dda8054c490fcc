"""What can be stored: PostgreSQL and UTF-8 have no place for NUL and half a surrogate pair, a full disk for nothing."""

import re
from collections.abc import Mapping
from typing import Any, cast

from kowai.errors import InvalidInput, KowaiError

_NOWHERE = re.compile("[\x00\ud800-\udfff]")
SHOWN = 80


class NotStorable(InvalidInput):
    code = "not_storable"


class StorageFull(KowaiError):
    """Say that a disk has no room for what was to be kept: nothing of it was, and trying at once cannot help."""

    code, http_status = "storage_full", 507


def storable(value: str) -> str:
    """Return the text as it is. Raises NotStorable, which names what is wrong with it."""
    found = _NOWHERE.search(value)
    if found:
        raise NotStorable(f"{value[:SHOWN]!a} holds the character U+{ord(found[0]):04X}, which cannot be stored.")
    return value


def replaced(value: Any) -> Any:
    """Return a value of JSON with U+FFFD in place of each character that cannot be stored."""
    if isinstance(value, str):
        return _NOWHERE.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {replaced(name): replaced(inner) for name, inner in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [replaced(inner) for inner in cast("list[Any]", value)]
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
