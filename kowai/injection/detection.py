"""Detection: rules on every view of a text, and two small models trained for it (benchmarks/injection)."""

from typing import NamedTuple

from kowai.injection.model import chance, question_score, sentence_scores
from kowai.injection.normalising import plain, views
from kowai.injection.rules import rule_hits, rules_for

# Log odds: what they cost in false alarms is in benchmarks/INJECTION.md.
QUESTION_THRESHOLD = 1.5
DOCUMENT_THRESHOLD = -0.5
ORDERS = ("OVERRIDE", "LEAK", "ROLE", "DELIMITER")
SURE = 0.95


class Seen(NamedTuple):
    """Point at characters [start, end) that give orders; `score` is in [0, 1]."""

    kind: str
    start: int
    end: int
    score: float


def seen_in_question(text: str) -> list[Seen]:
    """Return the rule or the model that calls the question an attack."""
    for view in views(text):
        if kind := next((kind for kind, _, _ in rule_hits(view) if kind in ORDERS), None):
            return [Seen(kind, 0, len(text), SURE)]
    score = question_score(text)
    return [Seen("JAILBREAK", 0, len(text), chance(score))] if score > QUESTION_THRESHOLD else []


def seen_in_document(text: str) -> list[Seen]:
    """Return the sentences of a document that give its reader orders that have nothing to do with the rest."""
    shown = plain(text)
    # A disguise that was taken off moves what follows it: then the whole document is pointed at.
    whole = (0, len(text)) if shown != text else None
    standing = rules_for(shown)
    ruled = [(kind, start, end, SURE) for kind, start, end in rule_hits(shown, standing)]
    scored = [each for each in sentence_scores(shown, standing) if each[2] > DOCUMENT_THRESHOLD]
    ruled += [("HIDDEN_ORDER", start, end, chance(score)) for start, end, score in scored]
    return [Seen(kind, *(whole or (start, end)), score) for kind, start, end, score in ruled]
