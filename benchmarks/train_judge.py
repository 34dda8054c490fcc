"""Train the extractive judge and write its weights; print how well it does on articles it has not seen.

    pip install lightgbm    # beside the product: it is needed here only
    KOWAI_DATA=... python benchmarks/train_judge.py [--ablate] [--rows FILE] [--write]

`--rows` keeps what was read in FILE, or takes it from there; `--ablate` adds the learning curve and the ablation.
"""

import argparse
import asyncio
import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from answer_measures import abstention_f1, auroc, calibration_error
from judge_fitting import Matrix, Table, calibrated, calibration, fit, folds, out_of_fold, stored, table_of
from judge_rows import SHARES, Row, lines, rows

WEIGHTS = {"gold": 1.0, "retrieved": 1.0, "typos": 0.2, "keywords": 0.2, "elsewhere": 0.3}
THRESHOLD = 0.35
ALIGNMENT = ("first_", "last_", "read_")
WORDS = {"first_here", "last_here"}  # of the question's first and last term, not of a layer
Wanted = Callable[[str], bool]


def aligned(name: str) -> bool:
    return True


def plain(name: str) -> bool:
    """Say whether a feature needs no states of tokens."""
    return name in WORDS or not name.startswith(ALIGNMENT)


ABLATIONS: Mapping[str, Wanted] = {
    "words and the cosine": lambda name: plain(name) and not name.startswith("new_") and name != "lacks_kind",
    "and counts of what the question does not mention": plain,
    "and alignment of tokens, sentence alone": lambda name: "_field_" not in name,
    "and alignment with the whole field": aligned,
}


def report(name: str, logits: Matrix, table: Table, answerable: Matrix) -> None:
    """Print figures of the gold and the retrieved passages, and what becomes of the other rows."""
    sure = calibrated(logits, table)
    print(f"{name}:")
    for kind in ("gold", "retrieved"):
        here = table.kind == kind
        said, right = sure[here], answerable[here]
        figures = f"AUROC {auroc(logits[here], right):.4f}, ECE {calibration_error(said, right):.3f}"
        f1 = ", ".join(f"at {at}: {abstention_f1(said, right, at):.3f}" for at in (THRESHOLD, 0.5))
        kept = np.mean(said[right == 1] >= THRESHOLD)
        print(f"  {kind}: {figures}, abstention F1 {f1}; {kept:.3f} of the answerable answered")
    print(f"  elsewhere: {np.mean(sure[table.kind == 'elsewhere'] < THRESHOLD):.3f} declined")


def curve(table: Table) -> None:
    """Print AUROC over the gold passages by how many articles were learnt from."""
    gold = table.only(table.kind == "gold")
    for most in (4, 8, 15):
        found = np.zeros(len(gold.right))
        for held in folds(gold.article):
            seen = sorted(set(table.article.tolist()) - set(gold.article[held].tolist()))[:most]
            found[held] = fit(table.only(np.isin(table.article, seen))).logits(gold.only(held))
        print(f"{most} articles: gold AUROC {auroc(found, gold.right):.4f}", flush=True)


async def collected(kept: Path | None) -> list[Row]:
    if kept and kept.exists():
        return [Row(*row) for row in pickle.loads(kept.read_bytes())]
    found = [row async for row in rows(lines("queries.jsonl"), lines("corpus.jsonl"))]
    if kept:
        kept.write_bytes(pickle.dumps([tuple(row) for row in found]))
    return found


def answerables(found: Sequence[Row]) -> Matrix:
    return np.array([float(row.answerable) for row in found if "last_explained" in row.features])


def train(found: Sequence[Row], name: str, wanted: Wanted, *, write: bool) -> None:
    table = table_of(found, WEIGHTS, wanted)
    logits = out_of_fold(table)
    report(name, logits, table, answerables(found))
    if write:
        judge = stored(fit(table), table, calibration(logits, table))
        path = Path(str(files("kowai.extraction"))) / f"judge_{name}.json"
        path.write_text(json.dumps(judge, separators=(",", ":")) + "\n")
        print(f"  {path.name}: {path.stat().st_size / 1000:.0f} kB")


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--ablate", action="store_true")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    found = await collected(asked.rows)
    print({kind: sum(row.kind == kind for row in found) for kind in SHARES})
    train(found, "aligned", aligned, write=asked.write)
    train(found, "plain", plain, write=asked.write)
    if asked.ablate:
        for name, wanted in ABLATIONS.items():
            table = table_of(found, WEIGHTS, wanted)
            report(name, out_of_fold(table), table, answerables(found))
        curve(table_of(found, WEIGHTS, aligned))


if __name__ == "__main__":
    asyncio.run(main())
