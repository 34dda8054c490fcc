"""Replay: an answer as lines of text, and the difference between two of them."""

import json
from datetime import datetime
from difflib import unified_diff
from typing import Any
from uuid import UUID

from kowai.pricing import Dollars
from kowai.types import Citation, Passage, Prompt, Statement, Usage, Value


class Outcome(Value):
    """Hold what of an answer a replay compares."""

    text: str
    citations: tuple[Citation, ...]
    sentences: tuple[Statement, ...]
    confidence: float | None
    abstained: bool
    model: str

    @classmethod
    def of(cls, answer: Any) -> "Outcome":
        """Take the fields of a Draft or of a stored row."""
        return cls.model_validate({name: getattr(answer, name) for name in cls.model_fields})


class Source(Value):
    """Hold a passage an answer was made from; `current_version` is its document's today, None once it is deleted."""

    passage: Passage
    current_version: int | None


class Record(Value):
    """Hold everything an answer was made of; `current_persona_version` differs once the persona has changed."""

    query_id: UUID
    question: str
    standalone: str
    filters: dict[str, Any]
    persona: str
    persona_version: str | None
    current_persona_version: str | None
    prompt: Prompt | None
    passages: tuple[Source, ...]
    answer: Outcome
    fallback: bool
    usage: Usage
    cost: Dollars | None
    flow_run_id: UUID | None
    asked_at: datetime
    finished_at: datetime | None


class Replay(Value):
    """Hold an answer made again; `difference` is a unified diff, empty when it is the same to the byte."""

    query_id: UUID
    fresh: bool
    identical: bool
    difference: str
    answer: Outcome
    cost: Dollars | None


def lines_of(outcome: Outcome) -> list[str]:
    """Write an outcome down completely: two are the same to the byte if and only if these lines are."""
    told = outcome.model_dump(mode="json")
    citations, sentences, text = told.pop("citations"), told.pop("sentences"), told.pop("text")
    lines = [f"answer: {line}" for line in text.splitlines() or [""]]
    lines += [f"{name}: {_written(value)}" for name, value in told.items()]
    lines += [f"[{number}] {_written(citation)}" for number, citation in enumerate(citations, 1)]
    return lines + [f"sentence {number}: {_written(sentence)}" for number, sentence in enumerate(sentences, 1)]


def difference(stored: Outcome, replayed: Outcome) -> str:
    """Return a unified diff, empty when both are the same to the byte."""
    before, after = lines_of(stored), lines_of(replayed)
    return "\n".join(unified_diff(before, after, "stored", "replayed", lineterm=""))


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
