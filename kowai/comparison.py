"""Answers side by side: a row a question, and for each persona what it said, how sure it is and what it cost."""

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from kowai.pricing import Dollars
from kowai.spreadsheets import harmless
from kowai.types import Value

FIELDS = ("state", "answer", "confidence", "cost", "model", "citations", "query_id", "answered by")


class Said(Value):
    """Hold how one item ended, and whom `auto` chose; None is unknown."""

    query_id: UUID
    state: str
    cause: str | None = None
    sentence: str | None = None
    answer: str | None = None
    abstained: bool | None = None
    confidence: float | None = None
    cost: Dollars | None = None
    model: str | None = None
    answered_by: str | None = None
    citations: tuple[dict[str, Any], ...] = ()


class Compared(Value):
    """Hold one question and what each persona said to it."""

    id: str
    question: str
    personas: dict[str, Said]


def as_jsonl(rows: Iterable[Compared]) -> bytes:
    return "".join(row.model_dump_json() + "\n" for row in rows).encode()


def as_csv(rows: Iterable[Compared], personas: Sequence[str]) -> bytes:
    """Return a table that a spreadsheet opens without running anything in it (OWASP, CSV injection)."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(["id", "question", *(f"{persona} {field}" for persona in personas for field in FIELDS)])
    for row in rows:
        cells = [row.id, row.question]
        for persona in personas:
            cells += _cells(row.personas.get(persona))
        writer.writerow([harmless(cell) for cell in cells])
    return buffer.getvalue().encode("utf-8-sig")


def _cells(said: Said | None) -> list[str]:
    if said is None:
        return [""] * len(FIELDS)
    state = f"{said.state}: {said.cause}" if said.cause else "abstained" if said.abstained else said.state
    sources = "; ".join(dict.fromkeys(str(cited["title"] or cited["external_id"]) for cited in said.citations))
    confidence = "" if said.confidence is None else f"{said.confidence:.3f}"
    answer = said.answer if said.answer is not None else said.sentence or ""
    spoken = [said.model or "", sources, str(said.query_id), said.answered_by or ""]
    return [state, answer, confidence, plain(said.cost), *spoken]


def plain(amount: Decimal | None) -> str:
    return "" if amount is None else f"{amount.normalize():f}"


def summary(rows: Sequence[Compared], personas: Sequence[str]) -> list[dict[str, str]]:
    """Return a row a question without any of its text: states, confidences and costs side by side."""
    return [{"question": row.id} | {persona: _brief(row.personas.get(persona)) for persona in personas} for row in rows]


def _brief(said: Said | None) -> str:
    if said is None or said.state in ("queued", "running"):
        return "in progress"
    if said.cause:
        return f"{said.state}: {said.cause}"
    sure = "unknown" if said.confidence is None else f"{said.confidence:.2f}"
    return f"{'abstained' if said.abstained else 'done'}, confidence {sure}, cost {plain(said.cost) or 'unknown'}"


def totals(rows: Sequence[Compared], personas: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row a persona: how its items ended, how sure it was on average and what it cost."""
    return [_total(persona, [row.personas[persona] for row in rows if persona in row.personas]) for persona in personas]


def _total(persona: str, said: Sequence[Said]) -> dict[str, Any]:
    done = [one for one in said if one.state == "done"]
    sure = [one.confidence for one in done if one.confidence is not None]
    known = [one.cost for one in done if one.cost is not None]
    return {
        "persona": persona,
        "items": len(said),
        "done": len(done),
        "abstained": sum(bool(one.abstained) for one in done),
        "refused": sum(one.state == "refused" for one in said),
        "dead": sum(one.state == "dead" for one in said),
        "confidence": round(sum(sure) / len(sure), 3) if sure else None,
        "cost": plain(sum(known, Decimal(0))) or "0" if known else None,
        "of_unknown_cost": len(done) - len(known),
    }
