"""Train the judge of the extractive answerer and write its weights; `--check` only measures it, by articles left out.

Run with torch, which KowAI itself does not need: KOWAI_DATA=... python -m benchmarks.train_extraction [--check]
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.extraction_data import FOLDS, Data, Embed, Instance, instances, load
from benchmarks.extraction_scores import Judged, best_threshold, calibrate, f1, holds, table
from kowai.extraction.answer import read_passages, supporting
from kowai.embedding.checkpoint import bundled
from kowai.embedding.encoder import TextEncoder
from kowai.extraction.model import Judge, assess, normal
from kowai.extraction.reading import Reading

WEIGHTS = Path(__file__).parents[1] / "kowai" / "extraction" / "weights.npz"
INNER, JOINT = 64, 32
MEMBERS, EPOCHS, BATCH, RATE, DECAY = 3, 8, 48, 2e-3, 0.03
POOLED = 3  # best score, log of the sum, entropy


class Example(NamedTuple):
    """Hold an instance, what was read, each candidate's token F1 (n,), and whether the sentences read hold the answer."""

    instance: Instance
    reading: Reading
    f1: NDArray[np.float32]
    held: tuple[bool, ...]

    @property
    def supported(self) -> bool:
        return any(self.held)


class Network(nn.Module):
    """Score the candidates of each question, and from their pooled features whether anything answers it."""

    def __init__(self, features: int, of_sentence: int) -> None:
        super().__init__()
        self.of_sentence = of_sentence
        self.hidden, self.second = nn.Linear(features, INNER), nn.Linear(INNER, INNER)
        self.rank = nn.Linear(INNER, 1)
        self.answer, self.support = nn.Linear(INNER + POOLED + of_sentence, JOINT), nn.Linear(JOINT, 1)
        self.drop = nn.ModuleList([nn.Dropout(rate) for rate in (0.1, 0.2, 0.3)])

    def forward(self, inputs: torch.Tensor, owner: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each candidate's log share among its question's and each question's logit of support."""
        inner = self.drop[1](torch.relu(self.hidden(self.drop[0](inputs))))
        inner = torch.relu(self.second(inner))
        scores = self.rank(inner)[:, 0]
        best = torch.full((count,), -1e9).scatter_reduce(0, owner, scores, "amax")
        total = pool((scores - best[owner]).exp(), owner, count)
        logs = scores - best[owner] - total.log()[owner]
        shares = logs.exp()
        summary = torch.stack([best / 5, total.log(), pool(-shares * logs, owner, count)], 1)
        weighted = [pool(shares[:, None] * part, owner, count) for part in (inner, inputs[:, : self.of_sentence])]
        joint = torch.relu(self.answer(torch.cat([weighted[0], summary, weighted[1]], 1)))
        return logs, self.support(self.drop[2](joint))[:, 0]


def pool(values: torch.Tensor, owner: torch.Tensor, count: int) -> torch.Tensor:
    return torch.zeros(count, *values.shape[1:]).index_add(0, owner, values)


def examples(data: Data, embed: Embed) -> list[Example]:
    """Read every instance as the answerer will."""
    put = instances(data, embed)
    vectors: dict[str, NDArray[np.float32]] = {}

    def remembered(texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        vectors.update(zip(new, embed(new), strict=True))
        return np.stack([vectors[text] for text in texts])

    async def read_all() -> list[Example]:
        read = [(instance, await read_passages(instance.text, instance.passages, remembered)) for instance in put]
        return [example(instance, reading) for instance, reading in read if reading]

    return asyncio.run(read_all())


def example(instance: Instance, reading: Reading) -> Example:
    """Label what was read with the gold answers, where it stands in the gold paragraph."""
    answers = () if "cross" in instance.setting else instance.asking.answers
    gold = [instance.asking.paragraph == f"{c.evidence.passage.external_id}::{c.evidence.passage.chunk_id}" for c in reading.field]
    held = tuple(own and holds(close.sentence.text, answers) for own, close in zip(gold, reading.field, strict=True))
    pairs = zip(reading.owners, reading.candidates, strict=True)
    scores = [f1(reading.quote(int(owner), candidate), answers) if gold[owner] else 0.0 for owner, candidate in pairs]
    return Example(instance, reading, np.array(scores, np.float32), held)


def train(chosen: Sequence[Example], mean: NDArray[np.float32], scale: NDArray[np.float32], seed: int) -> Network:
    """Train one member: the share of the best candidates and, where it is known, whether the answer was there."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    names = chosen[0].reading.names
    network = Network(len(names), names.index("place_in_field") + 1)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps = EPOCHS * -(-len(chosen) // BATCH)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1, (step + 1) / 50) * (1 - step / steps))
    for _ in range(EPOCHS):
        order = rng.permutation(len(chosen))
        for start in range(0, len(order), BATCH):
            batch = [chosen[int(at)] for at in order[start : start + BATCH]]
            loss = loss_of(network, batch, mean, scale)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
    return network.eval()


def loss_of(
    network: Network, batch: Sequence[Example], mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> torch.Tensor:
    count = len(batch)
    inputs = torch.from_numpy((normal(np.concatenate([one.reading.features for one in batch])) - mean) / scale)
    owner = torch.from_numpy(np.repeat(np.arange(count), [len(one.f1) for one in batch]))
    logs, logits = network(inputs, owner, count)
    worth = torch.from_numpy(np.concatenate([one.f1 for one in batch])) ** 3
    total = pool(worth, owner, count)
    ranked = -pool(worth / total.clamp_min(1e-6)[owner] * logs, owner, count)[total > 0.05].mean()
    known = torch.tensor([one.instance.setting != "extra" for one in batch])
    target = torch.tensor([float(one.supported) for one in batch])
    return ranked + binary_cross_entropy_with_logits(logits[known], target[known])


def ensemble(chosen: Sequence[Example]) -> Judge:
    """Train every member and put their weights side by side, not yet calibrated."""
    features = normal(np.concatenate([one.reading.features for one in chosen]))
    mean, scale = features.mean(0), features.std(0) + 1e-3
    members = [train(chosen, mean, scale, seed) for seed in range(MEMBERS)]
    layers: dict[str, NDArray[np.float32]] = {}
    for name in ("hidden", "second", "rank", "answer", "support"):
        layers[name] = np.stack([getattr(member, name).weight.detach().numpy().T for member in members])
        layers[f"{name}_bias"] = np.stack([getattr(member, name).bias.detach().numpy() for member in members])
    for name in ("hidden", "second"):
        layers[f"{name}_bias"] = layers[f"{name}_bias"][:, None]
    for name in ("rank", "support"):
        layers[name], layers[f"{name}_bias"] = layers[name][:, :, 0], layers[f"{name}_bias"][:, 0]
    names = np.array(chosen[0].reading.names)
    return Judge(names, mean, scale, **layers, calibration=np.array([1.0, 0.0]), threshold=np.array(0.5))


def left_out(read: Sequence[Example], folds: dict[str, int]) -> list[Judged]:
    """Judge each example of SQuAD 2.0 by an ensemble that saw nothing of its article."""
    judged: list[Judged] = []
    for fold in range(FOLDS):
        out = [folds.get(one.instance.asking.article) == fold for one in read]
        by = ensemble([one for one, is_out in zip(read, out, strict=True) if not is_out])
        judged += [judge_one(one, by) for one, is_out in zip(read, out, strict=True) if is_out]
    return judged


def judge_one(one: Example, by: Judge) -> Judged:
    judgement = assess(one.reading, by)
    best = int(np.argmax(judgement.shares))
    span = one.reading.quote(int(one.reading.owners[best]), one.reading.candidates[best])
    cited = [one.held[number] for number, _ in supporting(one.reading, judgement, 2)]
    asking = one.instance.asking
    answers = () if "cross" in one.instance.setting else asking.answers
    return Judged(one.instance.setting, asking.article, answers, span, cited, judgement.confidence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="measure by articles left out and write nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load()
    read = examples(data, TextEncoder(bundled(), Path.home() / ".cache" / "kowai").embed)
    judged = left_out(read, data.folds)
    calibration = calibrate(judged)
    threshold = best_threshold([one.calibrated(calibration) for one in judged])
    print(table([one.calibrated(calibration) for one in judged], threshold))
    if not options.check:
        by = ensemble(read)._replace(calibration=calibration, threshold=np.array(threshold))
        stored = {name: value if value.dtype.kind == "U" else value.astype(np.float16) for name, value in by._asdict().items()}
        np.savez_compressed(WEIGHTS, **stored)


if __name__ == "__main__":
    main()
