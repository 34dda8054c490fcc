"""Print how well offline answers know what they know, on SQuAD 2.0: AUROC, ECE, abstention F1, EM, F1, citations.

    pip install lightgbm    # beside the product: it is needed here only
    KOWAI_DATA=... python benchmarks/answer_quality.py [CITED] [--rows FILE]

The judge is fitted anew for each fold of articles, as benchmarks/train_judge.py does, so that no figure is of an
article its weights have seen. Citations are checked over CITED questions (500). FILE keeps what was read.
"""

import argparse
import asyncio
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from answer_measures import Matrix, overlap, words
from judge_fitting import calibrated, out_of_fold, table_of
from judge_rows import SEED, Encoder, Row, lines, passage_of
from train_judge import WEIGHTS, aligned, answerables, collected, report

from kowai.citations import cite
from kowai.types import Passage

ASKING = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b|\?", re.IGNORECASE)


def quoted(rows: Sequence[Row], sure: Matrix, threshold: float) -> tuple[float, float]:
    """Return SQuAD 2.0's exact match and F1: an abstention is right where there is no answer."""
    exact, partial = 0.0, 0.0
    for each, confidence in zip(rows, sure, strict=True):
        if confidence < threshold or not each.answers:
            right = float(confidence < threshold and not each.answers)
            exact, partial = exact + right, partial + right
            continue
        exact += any(words(each.quote) == words(answer) for answer in each.answers)
        partial += max(overlap(each.quote, answer) for answer in each.answers)
    return exact / len(rows), partial / len(rows)


async def citations(questions: Sequence[dict[str, Any]], paragraphs: dict[str, Passage], encoder: Encoder) -> str:
    """Cite right claims and claims with another question's answer; a citation is right if its span holds the answer."""
    answered, others = [each for each in questions if each["answers"]], defaultdict[str, list[str]](list)
    for each in answered:
        others[each["paragraph"]].append(each["answers"][0])
    cited = right = 0
    for each in answered:
        passage, stated = paragraphs[each["paragraph"]], ASKING.sub("", each["text"]).strip()
        strange = [answer for answer in others[each["paragraph"]] if answer not in each["answers"]]
        for answer in [each["answers"][0], *strange[:1]]:
            found = (await cite(f"{stated} {answer} [1].", [passage], encoder.embed)).citations
            cited += bool(found)
            right += bool(found) and answer in each["answers"] and answer in found[0].quote
    return f"citation precision {right / max(1, cited):.3f}, recall {right / max(1, len(answered)):.3f}"


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cited", type=int, nargs="?", default=500)
    parser.add_argument("--rows", type=Path)
    asked = parser.parse_args()
    found = [row for row in await collected(asked.rows) if "last_explained" in row.features]
    table = table_of(found, WEIGHTS, aligned)
    logits = out_of_fold(table)
    report(f"{len(found)} rows of {len(set(table.article.tolist()))} articles", logits, table, answerables(found))
    sure = calibrated(logits, table)
    for kind in ("gold", "retrieved"):
        here = [(row, said) for row, said in zip(found, sure.tolist(), strict=True) if row.kind == kind]
        for threshold in (0.3, 0.5):
            exact, partial = quoted([row for row, _ in here], sure[table.kind == kind], threshold)
            print(f"{kind}, threshold {threshold}: exact match {exact:.3f}, F1 {partial:.3f}")
    questions, paragraphs = lines("queries.jsonl"), {each["_id"]: passage_of(each) for each in lines("corpus.jsonl")}
    random.Random(SEED).shuffle(questions)
    print(await citations(questions[: asked.cited], paragraphs, Encoder()))


if __name__ == "__main__":
    asyncio.run(main())
