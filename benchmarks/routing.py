"""Choose the router's settings by cross-validation on the train half, and print its accuracy on the held-out half."""

import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from blocks.embedder import local_model
from kowai import routing
from kowai.routing import Choice, Router

MESSAGES = Path(__file__).parent.parent / "tests" / "data" / "personas.jsonl"
FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--search", action="store_true", help="compare settings by cross-validation")
    wanted = parser.parse_args()
    rows = [json.loads(line) for line in MESSAGES.read_text().splitlines()]
    vectors = local_model().embed([row["message"] for row in rows])
    train = np.array([row["split"] == "train" for row in rows])
    labels = np.array([row["persona"] for row in rows])
    if wanted.search:
        search(labels[train], vectors[train])
    report("train, cross-validated", *cross_validated(labels[train], vectors[train]))
    router = Router.fit(labels[train].tolist(), vectors[train])
    report("held out", labels[~train], [router.choose(vector) for vector in vectors[~train]])


def search(labels: Any, vectors: Any) -> None:
    chosen = routing.WIDTH, routing.RIDGE, routing.SHARPNESS
    for width, ridge in itertools.product((1.0, 2.0, 3.0, 4.0), (0.1, 0.3, 1.0)):
        routing.WIDTH, routing.RIDGE = width, ridge
        truth, choices = cross_validated(labels, vectors)
        hits = np.array([choice.persona for choice in choices]) == truth
        print(f"width {width}, ridge {ridge}: {hits.mean():.3f}")
    routing.WIDTH, routing.RIDGE = chosen[:2]
    for sharpness in (8.0, 10.0, 12.0, 14.0, 16.0):
        routing.SHARPNESS = sharpness
        truth, choices = cross_validated(labels, vectors)
        hits = np.array([choice.persona for choice in choices]) == truth
        print(f"sharpness {sharpness}: calibration error {calibration_error(hits, choices):.3f}")
    routing.SHARPNESS = chosen[2]


def cross_validated(labels: Any, vectors: Any) -> tuple[Any, list[Choice]]:
    truth: list[str] = []
    choices: list[Choice] = []
    for fold in folds(len(labels)):
        router = Router.fit(labels[~fold].tolist(), vectors[~fold])
        truth += labels[fold].tolist()
        choices += [router.choose(vector) for vector in vectors[fold]]
    return np.array(truth), choices


def folds(count: int) -> Iterator[Any]:
    for seed in range(4):
        dealt = np.random.default_rng(seed).permutation(count) % FOLDS
        yield from (dealt == fold for fold in range(FOLDS))


def calibration_error(hits: Any, choices: list[Choice]) -> float:
    """Return the expected calibration error over ten bins (Guo et al. 2017)."""
    confidence = np.array([choice.confidence for choice in choices])
    bins = np.minimum((confidence * 10).astype(int), 9)
    parts = [
        (bins == bin_).mean() * abs(hits[bins == bin_].mean() - confidence[bins == bin_].mean()) for bin_ in set(bins)
    ]
    return float(sum(parts))


def report(title: str, truth: Any, choices: list[Choice]) -> None:
    hits = np.array([choice.persona for choice in choices]) == truth
    sure = np.array([choice.confidence >= routing.UNSURE for choice in choices])
    error = calibration_error(hits, choices)
    print(f"{title}: accuracy {hits.mean():.3f} of {len(truth)}, calibration error {error:.3f}")
    print(f"  sure of {sure.mean():.3f}, then {hits[sure].mean():.3f}, otherwise {hits[~sure].mean():.3f}")
    for name in sorted(set(truth)):
        print(f"  {name:16} {hits[truth == name].mean():.3f}")


if __name__ == "__main__":
    main()
