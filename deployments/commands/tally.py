"""Where every document of one `kowai ingest` ended."""

from threading import Lock
from typing import Any, NamedTuple

LISTED = 1000
ENDS = ("indexed", "unchanged", "quarantined", "dead", "in_progress")
COUNTS = ("accepted", *ENDS)


class Death(NamedTuple):
    uri: str
    cause: str
    sentence: str


class Tally:
    """Count so that accepted = indexed + unchanged + quarantined + dead + in_progress.

    The first thousand deaths are listed, and as many documents that are held back. Several threads may count.
    """

    def __init__(self) -> None:
        self.indexed = self.unchanged = self.quarantined = self.dead = self.in_progress = 0
        self.deaths: list[Death] = []
        self.held: list[Death] = []
        self._counting = Lock()

    @property
    def accepted(self) -> int:
        return sum(getattr(self, name) for name in ENDS)

    def add(self, reply: dict[str, Any]) -> None:
        """Add the counts of one reply of the API and the documents it lists with a cause."""
        with self._counting:
            for name in ENDS:
                setattr(self, name, getattr(self, name) + reply.get(name, 0))
        for item in reply["items"]:
            if item.get("cause"):
                told = Death(item["uri"], item["cause"], item["sentence"] or "")
                self._list(self.held if item["state"] == "quarantined" else self.deaths, told)

    def bury(self, uri: str, cause: str, sentence: str) -> None:
        """Count one document that never reached the API, or that it refused."""
        with self._counting:
            self.dead += 1
        self._list(self.deaths, Death(uri, cause, sentence))

    def as_dictionary(self) -> dict[str, Any]:
        listed = {"deaths": self.deaths, "held": self.held}
        return {name: getattr(self, name) for name in COUNTS} | {
            name: [each._asdict() for each in found] for name, found in listed.items()
        }

    def __str__(self) -> str:
        ends = (f"{count:,} {name.replace('_', ' ')}" for name in ENDS if (count := getattr(self, name)))
        return f"{self.accepted:,} accepted: {', '.join(ends)}".removesuffix(": ")

    def _list(self, found: list[Death], death: Death) -> None:
        if len(found) < LISTED:
            found.append(death)
