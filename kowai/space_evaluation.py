"""Tell whether a vector space finds what stored answers were made of as well as another does."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

from kowai.types import Passage

FEW = 5  # questions, of which one more or less says nothing


class Asked(NamedTuple):
    """Hold a stored question and the citations of its answer."""

    question: str
    citations: tuple[Mapping[str, Any], ...]


class Comparison(NamedTuple):
    """Hold each question's recall in the current space, where it could be asked, and in the new one."""

    old: tuple[float, ...] = ()
    new: tuple[float, ...] = ()

    def with_tenant(self, old: Sequence[float], new: Sequence[float]) -> "Comparison":
        return Comparison((*self.old, *old), (*self.new, *new))

    def accepts(self, loss: float) -> bool:
        """Tell whether the new space loses at most that much recall; too few questions are no reason against it."""
        if len(self.old) < FEW or len(self.new) < FEW:
            return True
        return fmean(self.new) >= fmean(self.old) - loss

    def told(self, loss: float) -> dict[str, Any]:
        """Return the figures and the verdict; what was not measured is None."""
        means = {name: round(fmean(recalls), 4) if recalls else None for name, recalls in self._asdict().items()}
        recalls = {"recall_before": means["old"], "recall": means["new"]}
        return {"questions": len(self.new), **recalls, "accepted": self.accepts(loss)}


def recall_of(asked: Asked, passages: Sequence[Passage]) -> float:
    """Return the share of the answer's citations that a passage holds, by place or, in another version, by document."""
    return fmean(any(_holds(passage, cited) for passage in passages) for cited in asked.citations)


def _holds(passage: Passage, cited: Mapping[str, Any]) -> bool:
    if str(passage.document_id) != str(cited["document_id"]):
        return False
    overlaps = passage.start < cited["end"] and cited["start"] < passage.end
    return overlaps or passage.version != cited["version"]
