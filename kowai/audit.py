"""The audit log's chain: each entry's hash covers the one before it, so that none can be changed unseen."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

BEGINNING = "0" * 64


class Deed(NamedTuple):
    """Hold who did what, when, from where, and how it ended: an HTTP status."""

    at: datetime
    actor: UUID | None
    name: str
    permission: str
    action: str
    target: str
    status: int
    address: str


class Link(NamedTuple):
    """Hold an entry of one tenant's log: its number, counted from 1, what was done, and the hashes that chain it."""

    number: int
    deed: Deed
    previous: str
    hash: str


def seal(tenant_id: UUID, number: int, deed: Deed, previous: str) -> str:
    """Return the SHA-256 of an entry and of everything before it."""
    said: list[Any] = [previous, str(tenant_id), number, deed.at.astimezone(UTC).isoformat(timespec="microseconds")]
    said += [str(deed.actor), *deed[2:]]
    return sha256(json.dumps(said, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def first_broken(tenant_id: UUID, links: Iterable[Link], before: Sequence[Any] = (0, BEGINNING)) -> int | None:
    """Return the number of the first entry that was changed, moved, put in or lost, or None when all hold."""
    number, previous = before
    for link in links:
        number += 1
        if (link.number, link.previous) != (number, previous) or link.hash != seal(
            tenant_id, number, link.deed, previous
        ):
            return number
        previous = link.hash
    return None
