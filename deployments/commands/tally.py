"""Where every document of one `kowai ingest` ended."""

from typing import Any, NamedTuple

LISTED = 1000
COUNTS = ("accepted", "indexed", "unchanged", "quarantined", "dead", "in_progress")


class Death(NamedTuple):
    uri: str
    cause: str
    sentence: str


class Tally:
    """Count so that accepted = indexed + unchanged + quarantined + dead + in_progress.

    The first thousand deaths are listed.
    """

    def __init__(self) -> None:
        self.indexed = self.unchanged = self.quarantined = self.dead = self.in_progress = 0
        self.deaths: list[Death] = []

    @property
    def accepted(self) -> int:
        return self.indexed + self.unchanged + self.quarantined + self.dead + self.in_progress

    def add(self, reply: dict[str, Any]) -> None:
        """Add the counts of one reply of the API and the deaths it lists."""
        self.indexed += reply["indexed"]
        self.unchanged += reply["unchanged"]
        self.in_progress += reply.get("in_progress", 0)
        self.quarantined += reply.get("quarantined", 0)
        self.dead += reply["dead"]
        for item in reply["items"]:
            if item.get("cause"):
                self._list(Death(item["uri"], item["cause"] or "unknown", item["sentence"] or ""))

    def bury(self, uri: str, cause: str, sentence: str) -> None:
        """Count one document that never reached the API, or that it refused."""
        self.dead += 1
        self._list(Death(uri, cause, sentence))

    def as_dictionary(self) -> dict[str, Any]:
        counts = {name: getattr(self, name) for name in COUNTS}
        return counts | {"deaths": [death._asdict() for death in self.deaths]}

    def __str__(self) -> str:
        return f"{self.accepted:,} accepted: {self.indexed:,} indexed, {self.unchanged:,} unchanged, {self.dead:,} dead"

    def _list(self, death: Death) -> None:
        if len(self.deaths) < LISTED:
            self.deaths.append(death)
