"""The forms in which suites are written elsewhere: one file each, found by `discover`."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from kowai.errors import TooLarge
from kowai.registry import discover
from kowai.suites import BadSuite, ParsedSuite

Files = Mapping[str, bytes]

MOST_BYTES = 100_000_000


class Format(NamedTuple):
    """Say what a form looks like and how to read it; the files are known by their paths inside the folder."""

    description: str
    recognises: Callable[[Files], bool]
    read: Callable[[Files, str], ParsedSuite]


def formats() -> dict[str, Format]:
    return discover("kowai.suite_formats", Format)


def read_suite(files: Files, name: str, form: str | None = None) -> ParsedSuite:
    """Return the suite in `files`, read as `form` or as what they look like. Raises BadSuite, NoCases and TooLarge."""
    if sum(map(len, files.values())) > MOST_BYTES:
        raise TooLarge(f"{name} is larger than the {MOST_BYTES // 1_000_000} MB that are read: split it.")
    known = formats()
    if form is not None and form not in known:
        raise BadSuite(f"There is no form '{form}'; choose one of {', '.join(known)}.")
    chosen = form or next((each for each, one in known.items() if one.recognises(files)), None)
    if chosen is None:
        described = "; ".join(f"{each}: {one.description}" for each, one in known.items())
        raise BadSuite(f"{name} is in none of the known forms ({described}).")
    return known[chosen].read(files, name)
