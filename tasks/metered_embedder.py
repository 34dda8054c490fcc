"""The metered call of an embedding endpoint: reserved as a whole, asked batch by batch, settled by what it reports."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID, uuid4

import numpy as np

from blocks.billing import may_be_billed
from blocks.embedder import Embedder, Vectors
from blocks.language_model import LanguageModel
from blocks.tokens import count_prompt
from kowai.pricing import Price, cost, total, worst_case
from kowai.types import Usage
from tasks.accounts import Purpose
from tasks.booking import Booking, Payee
from tasks.bought_vectors import BoughtVectors, Vector
from tasks.finishing import finish

NOTHING = Decimal(0)

_bought = BoughtVectors()


@dataclass
class Tally:
    """Sum what was asked: the tokens and US dollars reported, None once one is not known, and what counts at most."""

    tokens: int | None = 0
    spent: Decimal | None = NOTHING
    charged: Decimal = NOTHING

    def add(self, tokens: int | None, spent: Decimal | None, worst: Decimal | None) -> None:
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens
        self.spent = None if self.spent is None or spent is None else self.spent + spent
        self.charged += (worst or NOTHING) if spent is None else spent

    @property
    def usage(self) -> Usage:
        return Usage(prompt_tokens=self.tokens, completion_tokens=None if self.tokens is None else 0)


class EmbedCall:
    """Follow one request for vectors from its reservation to its settlement; `price` is for a million tokens."""

    def __init__(self, model: Embedder, price: Decimal | None, limits: LanguageModel, purpose: Purpose) -> None:
        self.model, self.limits, self.purpose, self.tally = model, limits, purpose, Tally()
        self.price = None if price is None else Price(price, NOTHING)

    async def vectors(self, texts: Sequence[str], shares: Mapping[UUID, int]) -> Vectors:
        """Return one L2-normalised row a prefixed text; what the tenant paid for within minutes is not paid again.

        `shares` counts the texts of each item or document. Raises BudgetExhausted, PriceUnknown and as `Embedder.ask`.
        """
        found = _bought.find(self.purpose.tenant_id, self.model.space, texts)
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            found |= await self._buy(missing, shares)
        rows = [found[text] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.model.space.dimensions), np.float32)

    async def _buy(self, texts: Sequence[str], shares: Mapping[UUID, int]) -> dict[str, Vector]:
        """Ask for all texts on one reservation. No reply is kept with it: vectors are stored with what they are of."""
        size = self.model.batch_size
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        most = await asyncio.to_thread(lambda: [self._worst_case(batch) for batch in batches])
        payee = Payee(self.model.model, self.model.model, self.model.allow_unknown_price)
        booking = Booking(payee, self.limits, self.purpose, total(most))
        await booking.open(uuid4().hex)
        try:
            async with booking.held():
                await booking.share_out(shares)
                asked = [await self._ask(batch, worst) for batch, worst in zip(batches, most, strict=True)]
        except BaseException as error:
            await finish(self._end_early(booking, type(error).__name__))
            raise
        await finish(booking.close(self.tally.usage, self.tally.spent, charged=self.tally.charged))
        return {text: vector for known in asked for text, vector in known.items()}

    async def _ask(self, texts: Sequence[str], worst: Decimal | None) -> dict[str, Vector]:
        try:
            rows, tokens = await self.model.ask(texts)
        except BaseException as error:
            if may_be_billed(error):
                self.tally.add(None, None, worst)
            raise
        self.tally.add(tokens, cost(self.price, Usage(prompt_tokens=tokens, completion_tokens=0)), worst)
        known = dict(zip(texts, rows, strict=True))
        _bought.keep(self.purpose.tenant_id, self.model.space, known)
        return known

    async def _end_early(self, booking: Booking, cause: str) -> None:
        """Count what was spent before it failed, or may have been; give the rest back."""
        if self.tally == Tally():
            return await booking.release(cause)
        await booking.close(self.tally.usage, self.tally.spent, charged=self.tally.charged, cause=cause)

    def _worst_case(self, texts: Sequence[str]) -> Decimal | None:
        return worst_case(self.price, count_prompt(list(texts), self.model.model).tokens, 0)
