"""The pair reader as a network to train: what kowai.extraction.pair_reader gives it in, scores of each token out."""

# pyright: basic, reportMissingImports=false
# torch is there for training alone, so its types are unknown.

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kowai.embedding.tensors import Tensors

LAYERS = (3, 4)  # of MiniLM, counted from 0: those that the reader's own two begin as
WIDTH, INNER, HEADS, KNOWN, SCORES = 384, 1536, 12, 6, 3
DROPPED, SPREAD, CLIPPED, WARMING, LEAST, UNSEEN = 0.1, 0.02, 1.0, 0.1, 0.02, -1e4


class Layer(nn.Module):
    """A layer of BERT that begins with the weights `held`."""

    def __init__(self, held: Tensors) -> None:
        super().__init__()
        sizes = {name.removesuffix(".weight"): each.shape for name, each in held.items() if name.endswith(".weight")}
        self.parts = nn.ModuleDict(
            {
                name.replace(".", "/"): nn.LayerNorm(size[0], eps=1e-12) if len(size) == 1 else nn.Linear(*size[::-1])
                for name, size in sizes.items()
            }
        )
        self.load_state_dict({f"parts.{_named(name)}": torch.tensor(np.array(each)) for name, each in held.items()})

    def part(self, name: str, hidden: Tensor) -> Tensor:
        return self.parts[name.replace(".", "/")](hidden)

    def forward(self, hidden: Tensor, unseen: Tensor) -> Tensor:
        count, tokens, _ = hidden.shape
        heads = [
            self.part(f"attention.self.{name}", hidden).view(count, tokens, HEADS, -1).transpose(1, 2)
            for name in ("query", "key", "value")
        ]
        dropped = DROPPED if self.training else 0.0
        attended = functional.scaled_dot_product_attention(*heads, attn_mask=unseen, dropout_p=dropped)
        mixed = self.part("attention.output.dense", attended.transpose(1, 2).reshape(count, tokens, WIDTH))
        hidden = self.part("attention.output.LayerNorm", hidden + self._drop(mixed))
        inner = functional.gelu(self.part("intermediate.dense", hidden))
        return self.part("output.LayerNorm", hidden + self._drop(self.part("output.dense", inner)))

    def _drop(self, hidden: Tensor) -> Tensor:
        return functional.dropout(hidden, DROPPED, self.training)

    def held(self) -> Tensors:
        """Return the weights by the names they came with."""
        return {name.removeprefix("parts.").replace("/", "."): _array(each) for name, each in self.state_dict().items()}


class Network(nn.Module):
    """The reader: two layers of BERT over both texts, each token told of its partners in the other text."""

    def __init__(self, layers: Sequence[Tensors]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(held) for held in layers])
        self.sides = nn.Parameter(torch.zeros(2, WIDTH))
        self.mix, self.known = nn.Linear(2 * WIDTH, WIDTH, bias=False), nn.Linear(KNOWN, WIDTH)
        self.score = nn.Linear(WIDTH, SCORES)
        for part in (self.mix, self.known, self.score):
            nn.init.normal_(part.weight, 0, SPREAD)
        nn.init.zeros_(self.known.bias)
        nn.init.zeros_(self.score.bias)

    def forward(self, states: Tensor, partners: Tensor, known: Tensor, side: Tensor, here: Tensor) -> Tensor:
        """Return the logits (texts, tokens, 3): an answer is here (of the first token), it begins, it ends here."""
        mixed = self.mix(torch.cat([partners - states, partners * states], -1))
        hidden = states + self.sides[side] + self.known(known) + mixed
        with torch.autocast("cpu", torch.bfloat16):
            unseen = torch.where(here, 0.0, UNSEEN)[:, None, None].bfloat16()
            for layer in self.layers:
                hidden = layer(hidden, unseen)
        return self.score(hidden.float())

    def held(self) -> list[Tensors]:
        return [layer.held() for layer in self.layers]  # type: ignore[operator]

    def rest(self) -> Tensors:
        """Return the weights outside the layers."""
        return {name: _array(each) for name, each in self.state_dict().items() if not name.startswith("layers.")}


class Pair(NamedTuple):
    """Hold what the graph is given for question and sentence, and the tokens where the answer begins and ends."""

    given: Mapping[str, Any]
    span: tuple[int, int] | None

    def __len__(self) -> int:
        return self.given["side"].shape[1]


def loss_of(network: Network, pairs: Sequence[Pair]) -> Tensor:
    """Ask whether there is an answer, and for its span; where there is none, the first token stands for it."""
    batch = _padded(pairs)
    scores = network(*batch)
    spans = torch.tensor([pair.span or (0, 0) for pair in pairs])
    answered = torch.tensor([float(pair.span is not None) for pair in pairs])
    may_hold = batch[-1] & (batch[3] == 1) & (batch[2][..., 3] == 0)
    may_hold[:, 0] = True
    places = scores[..., 1:].masked_fill(~may_hold[..., None], UNSEEN)
    ends = [functional.cross_entropy(places[..., n], spans[:, n]) for n in (0, 1)]
    return functional.binary_cross_entropy_with_logits(scores[:, 0, 0], answered) + (ends[0] + ends[1]) / 2


@torch.no_grad()
def scores_of(network: Network, pair: Pair) -> Any:
    return network(*_padded([pair]))[0].numpy()


def train(network: Network, batches: Sequence[Sequence[Pair]], rate: float) -> None:
    """Take one step a batch: the rate rises for a tenth of them, then falls in a straight line."""
    network.train()
    optimiser = torch.optim.AdamW(network.parameters(), rate)
    for step, batch in enumerate(batches):
        done = step / len(batches)
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, done / WARMING + 1e-3) * max(LEAST, 1 - done)
        optimiser.zero_grad()
        loss = loss_of(network, batch)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIPPED)
        optimiser.step()
        if step % 100 == 99:
            print(f"  step {step + 1} of {len(batches)}, loss {loss.item():.3f}", flush=True)


def _padded(pairs: Sequence[Pair]) -> tuple[Tensor, ...]:
    most = max(map(len, pairs))

    def stacked(name: str, kind: torch.dtype) -> Tensor:
        rows = [torch.tensor(pair.given[name][0]).to(kind) for pair in pairs]
        return torch.stack([functional.pad(row, [0, 0] * (row.ndim - 1) + [0, most - len(row)]) for row in rows])

    here = torch.arange(most) < torch.tensor([len(pair) for pair in pairs])[:, None]
    floats = [stacked(name, torch.float32) for name in ("states", "partners", "known")]
    return (*floats, stacked("side", torch.int64), here)


def _named(name: str) -> str:
    place, _, kind = name.rpartition(".")
    return f"{place.replace('.', '/')}.{kind}"


def _array(tensor: Tensor) -> Any:
    return tensor.detach().numpy()
