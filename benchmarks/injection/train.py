"""Train the injection guard and say how it does on sources it has not seen; needs scikit-learn.

python -m benchmarks.injection.train DATA    (the folder that holds injection/train)
"""

import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from kowai.injection.features import BUCKETS, hashed, measures, rarity, segments, surroundings, windows
from kowai.injection.normalising import plain

HERE = Path(__file__).parent
OUT = HERE.parents[1] / "kowai" / "injection" / "weights.npz"
ROUNDS = 3  # of choosing which windows of an attack are the attack
Rows = list[tuple[np.ndarray, np.ndarray]]


def rows_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().split("\n") if line]


def hard_negatives() -> tuple[list[str], list[str]]:
    """Return harmless questions and harmless sentences of documents."""
    lines = [line for line in (HERE / "hard_negatives.txt").read_text().splitlines() if line and line[0] != "#"]
    cut = lines.index("--- document")
    return lines[:cut], lines[cut + 1 :]


def own_sections() -> list[str]:
    """Return KowAI's own documents, cut at their headings: contexts that nobody else's test set holds."""
    root = HERE.parents[1]
    files = [*sorted((root / "samples" / "handbook").glob("*.md")), root / "README.md", root / "CONTRIBUTING.md"]
    sections = [part for file in files for part in re.split(r"\n(?=## )", file.read_text(encoding="utf-8"))]
    return [section for section in sections if len(section) > 200]


def matrix(rows: Rows) -> csr_matrix:
    """Return L2-normalised binary buckets beside the dense measures."""
    indices = np.concatenate([hashed for hashed, _ in rows])
    lengths = np.array([len(hashed) for hashed, _ in rows])
    values = np.repeat(1 / np.sqrt(np.maximum(1, lengths)), lengths)
    sparse = csr_matrix((values, indices, np.concatenate([[0], np.cumsum(lengths)])), (len(rows), BUCKETS))
    return csr_matrix(hstack([sparse, csr_matrix(np.stack([dense for _, dense in rows]))]))


def fitted(rows: Rows, labels: Sequence[int], weights: Sequence[float], strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=400).fit(matrix(rows), labels, sample_weight=weights)


def asked_rows(text: str) -> Rows:
    return [(hashed(window), measures(window)) for window in windows(plain(text))]


class Questions:
    """The model of whole questions: an attack is as strong as its strongest window."""

    def __init__(self, attacks: list[Rows], harmless: list[Rows]) -> None:
        negatives = [row for rows in harmless for row in rows]
        weigh = [1 / len(rows) for rows in harmless for _ in rows]
        chosen = attacks
        for _ in range(ROUNDS):
            positives = [row for rows in chosen for row in rows]
            mine = [1 / len(rows) for rows in chosen for _ in rows]
            scale = sum(weigh) / sum(mine)
            labels = [1] * len(positives) + [0] * len(negatives)
            self.model = fitted(positives + negatives, labels, [w * scale for w in mine] + weigh, 30.0)
            chosen = [self._strongest(rows) for rows in attacks]

    def _strongest(self, rows: Rows) -> Rows:
        scores = self.model.decision_function(matrix(rows))
        return [rows[n] for n in np.argsort(-scores)[: max(1, len(rows) // 2)]]

    def scores(self, texts: list[Rows]) -> np.ndarray:
        return np.array([self.model.decision_function(matrix(rows)).max() for rows in texts])


def document_rows(text: str) -> tuple[Rows, list[tuple[int, int]]]:
    parts = segments(plain(text))
    around = surroundings(parts)
    rows = [
        (hashed(part.text), np.concatenate([measures(part.text), near]))
        for part, near in zip(parts, around, strict=True)
    ]
    return rows, [(part.start, part.end) for part in parts]


def hidden(context: str, order: str, chance: random.Random) -> tuple[str, int, int]:
    """Return the document with an order put in at one of its breaks, and where it stands."""
    breaks = [0, len(context), *(part.start for part in segments(context))]
    place = chance.choice([0, len(context), chance.choice(breaks)])
    before, after = context[:place], context[place:]
    joint = chance.choice(["\n", "\n", " ", "\n\n"])
    start = len(before) + len(joint) if before else 0
    return (before + joint if before else "") + order + joint + after, start, start + len(order)


class Documents:
    """The model of a document's sentences: which one gives the reader an order that has nothing to do with the rest."""

    def __init__(self, contexts: list[str], orders: list[str], harmless: list[str], chance: random.Random) -> None:
        rows: Rows = []
        labels: list[int] = []
        for context in contexts:
            for order in chance.sample(orders, min(len(orders), 4)):
                text, start, end = hidden(context, order, chance)
                found, spans = document_rows(text)
                for row, (begin, stop) in zip(found, spans, strict=True):
                    inside = min(stop, end) - max(begin, start) > 0.5 * (stop - begin)
                    if not inside and chance.random() < 0.6:
                        continue
                    rows.append(row)
                    labels.append(int(inside and "```" not in text[start:begin]))
            text, start, end = hidden(
                context, chance.choice("\n ").join(chance.sample(harmless, min(8, len(harmless)))), chance
            )
            found, _ = document_rows(text)
            rows += found
            labels += [0] * len(found)
        self.model = fitted(rows, labels, [1.0] * len(rows), 10.0)

    def score(self, text: str) -> float:
        parts = segments(plain(text))
        rows = [row for row, part in zip(document_rows(text)[0], parts, strict=True) if part.is_long_enough]
        return float(self.model.decision_function(matrix(rows)).max()) - rarity(len(parts)) if rows else -99.0


def recall_at(attacks: np.ndarray, harmless: np.ndarray, share: float) -> tuple[float, float]:
    """Return the recall when `share` of the harmless are called attacks, and the threshold."""
    threshold = float(np.quantile(harmless, 1 - share))
    return float((attacks > threshold).mean()), threshold


def folds(texts: list[str], count: int = 5) -> list[list[int]]:
    """Split so that texts with much in common (copies of one jailbreak) fall into one fold."""
    owner: dict[str, int] = {}
    placed: list[list[int]] = [[] for _ in range(count)]
    for number, text in enumerate(texts):
        words = text.lower().split()
        grams = {" ".join(words[start : start + 6]) for start in range(max(1, len(words) - 5))}
        known = next((owner[gram] for gram in grams if gram in owner), None)
        fold = min(range(count), key=lambda each: len(placed[each])) if known is None else known
        owner.update(dict.fromkeys(grams, fold))
        placed[fold].append(number)
    return placed


def judge_questions(attacks: list[str], benign: list[str], hard: list[str], unseen: dict[str, list[str]]) -> float:
    """Print what each source is worth to a model that has not seen it; return the threshold at 1 % of all harmless."""
    a, b, h = ([asked_rows(text) for text in texts] for texts in (attacks, benign, hard))
    out = np.zeros(len(a))
    for fold in folds(attacks):
        model = Questions([rows for n, rows in enumerate(a) if n not in fold], b + h)
        out[fold] = model.scores([a[n] for n in fold])
    held = np.concatenate([Questions(a, h + b[:0] + b[1::2]).scores(b[::2]), Questions(a, h + b[::2]).scores(b[1::2])])
    loso_hard = Questions(a, b).scores(h)
    recall, threshold = recall_at(out, np.concatenate([held, loso_hard]), 0.01)
    print(f"questions: recall at 1 % false positives {recall:.3f} (threshold {threshold:.2f})")
    final = Questions(a, b + h)
    for cut in (threshold, 0.0, 0.5, 1.0):
        print(f"  at {cut:.2f}: attacks {(out > cut).mean():.3f}, benign held out {(held <= cut).mean():.3f},", end=" ")
        print(f"look-alikes never seen {(loso_hard <= cut).mean():.3f}", end="")
        for name, texts in unseen.items():
            print(f", {name} {(final.scores([asked_rows(text) for text in texts]) <= cut).mean():.4f}", end="")
        print()
    return threshold


def judge_documents(contexts: dict[str, list[str]], orders: dict[str, list[str]], harmless: list[str]) -> None:
    """Print, for each kind of document left out together with every second kind of order, the recall at 2 %."""
    kinds = sorted(orders)
    for left_out in contexts:
        found: list[float] = []
        quiet: list[float] = []
        for half in (kinds[::2], kinds[1::2]):
            chance = random.Random(7)
            seen = [text for name, texts in contexts.items() if name != left_out for text in texts]
            known = [order for kind in kinds if kind not in half for order in orders[kind]]
            model = Documents(seen, known, harmless, chance)
            quiet += [model.score(text) for text in contexts[left_out]]
            strange = [order for kind in half for order in orders[kind]]
            found += [
                model.score(hidden(context, order, chance)[0])
                for context in contexts[left_out]
                for order in chance.sample(strange, 2)
            ]
        recall, threshold = recall_at(np.array(found), np.array(quiet), 0.02)
        print(
            f"documents, {left_out} and half the orders unseen: recall {recall:.3f} at 2 % (threshold {threshold:.2f})"
        )


def unseen_questions(data: Path) -> dict[str, list[str]]:
    """Return questions of other sets, for counting false alarms; nothing is trained on them."""
    chance = random.Random(3)
    squad = [row["text"] for row in rows_of(data / "squad_v1.1" / "queries.jsonl")]
    found = {"squad": chance.sample(squad, 1000)}
    for name in sorted((data / "intents").glob("*train*.json*")):
        texts = [str(row.get("text", "")) for row in rows_of(name)]
        found[name.stem] = chance.sample(texts, 1000)
    return found


def saved(model: LogisticRegression) -> dict[str, np.ndarray]:
    return {"hashed": model.coef_[0][:BUCKETS], "dense": model.coef_[0][BUCKETS:], "bias": model.intercept_}


def main(data: Path, judge: Callable[[], bool]) -> None:
    """Judge, then train on everything and write the weights."""
    folder = data / "injection" / "train"
    attacks = [row["text"] for row in rows_of(folder / "jailbreaks.jsonl")]
    benign = [row["text"] for row in rows_of(folder / "benign.jsonl")]
    hard, told = hard_negatives()
    orders: dict[str, list[str]] = {}
    for row in rows_of(folder / "indirect_instructions.jsonl"):
        orders.setdefault(row["category"], []).append(row["text"])
    chance = random.Random(11)
    rows = rows_of(folder / "contexts.jsonl")
    for row in rows:
        row["context"] = row["context"] if isinstance(row["context"], str) else "\n".join(row["context"])
    rows = [row for row in rows if row["context"].strip()]
    contexts = {task: [row["context"] for row in rows if row["task"] == task] for task in ("email", "table", "code")}
    contexts["table"] = chance.sample(contexts["table"], 120)
    contexts["handbook"] = own_sections()
    if judge():
        if "--documents" not in sys.argv:
            judge_questions(attacks, benign, hard, unseen_questions(data))
        judge_documents(contexts, orders, told)
    questions = Questions([asked_rows(t) for t in attacks], [asked_rows(t) for t in (*benign, *hard)]).model
    every = [text for texts in contexts.values() for text in texts]
    documents = Documents(every, [order for texts in orders.values() for order in texts], told, chance).model
    parts = {f"{name}_{part}": value for name, model in (("question", questions), ("document", documents))
             for part, value in saved(model).items()}  # fmt: skip
    np.savez_compressed(OUT, **{name: value.astype(np.float16) for name, value in parts.items()})
    print(f"{OUT.name}: {OUT.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]), lambda: "--quick" not in sys.argv)
