"""Where documents come from: one file a kind, which walks a source and reads what it found there."""

from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import ValidationError

from kowai.errors import DocumentError, InvalidInput
from kowai.registry import discover
from kowai.types import Value

Details = dict[str, Any]
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Options(Value):
    """Hold what a kind of source can be told; most need nothing."""


class Walk(NamedTuple):
    """Hold a source to be walked: its options, what the last walk left in `marks`, and the suffixes that are read."""

    uri: str
    tenant_id: UUID
    suffixes: frozenset[str]
    options: Mapping[str, Any] = NOTHING
    marks: Mapping[str, Any] = NOTHING


class Offer(NamedTuple):
    """Offer one document: what it is known by, where to read it, and the name whose suffix says what it is.

    An error that `hides` documents, such as a folder that may not be entered, leaves open what has vanished.
    """

    uri: str
    details: Details
    name: str
    error: DocumentError | None = None
    hides: bool = False


class Walked(NamedTuple):
    """Hold what a walk finds, read in a thread that may wait.

    `marks` are for the next walk. `gone` names what is no longer there; None means all that was not found.
    """

    found: Iterator[Offer]
    marks: Mapping[str, Any] = NOTHING
    gone: Iterable[str] | None = None


class Content(NamedTuple):
    """Hold a document's bytes, the name whose suffix says what they claim to be, and what a server said of them."""

    data: bytes
    name: str
    media_type: str | None = None
    charset: str | None = None
    validators: Mapping[str, Any] = NOTHING


@dataclass(frozen=True)
class SourceKind:
    """Walk sources of one kind. Details of what it offers hold the key `place`.

    `claim` says how surely a URI is of this kind, 0 being not at all. `walk` and `read` raise DocumentErrors; `read` is
    given what the last read left as `validators` and returns None where the document is still the same.
    """

    summary: str
    place: str
    claim: Callable[[str], int]
    walk: Callable[[Walk], Coroutine[Any, Any, Walked]]
    read: Callable[[Details, Mapping[str, Any]], Coroutine[Any, Any, Content | None]]
    options: type[Options] = Options


@cache
def kinds() -> dict[str, SourceKind]:
    return discover("blocks.sources", SourceKind)


def kind_of(uri: str) -> str:
    """Return the kind that claims a URI most surely; a path is what nobody else claims."""
    return max(kinds(), key=lambda name: kinds()[name].claim(uri))


def reading_kind(details: Details) -> SourceKind:
    """Return the kind that offered a document with these details."""
    return next(kind for kind in kinds().values() if kind.place in details)


def checked_options(kind: str, options: Details) -> Details:
    """Return a kind's options as they are stored. Raises InvalidInput."""
    if kind not in kinds():
        raise InvalidInput(f"There is no kind of source '{kind}'; choose one of {', '.join(kinds())}.")
    try:
        return kinds()[kind].options.model_validate(options).model_dump(exclude_defaults=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(f"A source of kind {kind} cannot be told {first['loc']}: {first['msg']}.") from error
