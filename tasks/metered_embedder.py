"""The metered call of an embedding endpoint: reserved, asked batch by batch, settled with what it brought."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
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
from tasks.bought_vectors import BoughtVectors, Vector, as_stored, find_stored, hash_of
from tasks.finishing import finish

NOTHING = Decimal(0)

_bought = BoughtVectors()


@dataclass
class Purchase:
    """Sum what was asked: the tokens and US dollars reported, None once one is not known, and what counts at most.

    `vectors` are what was had for it, by the hashes of their texts.
    """

    tokens: int | None = 0
    spent: Decimal | None = NOTHING
    charged: Decimal = NOTHING
    vectors: dict[str, Vector] = field(default_factory=dict[str, Vector])

    def add(self, tokens: int | None, spent: Decimal | None, worst: Decimal | None) -> None:
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens
        self.spent = None if self.spent is None or spent is None else self.spent + spent
        self.charged += (worst or NOTHING) if spent is None else spent

    @property
    def usage(self) -> Usage:
        return Usage(prompt_tokens=self.tokens, completion_tokens=None if self.tokens is None else 0)


class EmbedCall:
    """Follow one request for vectors from its reservation to its settlement; `price` is for a million tokens.

    Afterwards `tokens` are what was read for it, and `kept` is what its vectors are kept by until they are indexed.
    """

    def __init__(self, model: Embedder, price: Decimal | None, limits: LanguageModel, purpose: Purpose) -> None:
        self.model, self.limits, self.purpose = model, limits, purpose
        self.tokens: int | None = 0
        self.kept: tuple[str, ...] = ()
        self.price = None if price is None else Price(price, NOTHING)

    async def vectors(self, texts: Sequence[str], shares: Mapping[UUID, int]) -> Vectors:
        """Return one L2-normalised row a prefixed text; what the tenant has paid for is not paid again.

        `shares` counts the texts of each item or document. Raises BudgetExhausted, PriceUnknown and as `Embedder.ask`.
        """
        tenant_id, space = self.purpose.tenant_id, self.model.space
        wanted = {text: hash_of(tenant_id, space, text) for text in texts}
        found = _bought.find(tenant_id, list(wanted.values()))
        if missing := [key for key in wanted.values() if key not in found]:
            found |= await find_stored(tenant_id, missing)
        await self._buy({text: key for text, key in wanted.items() if key not in found}, shares, found)
        self.kept = tuple(wanted[text] for text in texts)
        rows = [found[wanted[text]] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, space.dimensions), np.float32)

    async def _buy(self, missing: Mapping[str, str], shares: Mapping[UUID, int], found: dict[str, Vector]) -> None:
        """Add the vectors of texts, by their hashes: a request is reserved as a whole, what is indexed by the batch."""
        texts, size = list(missing), self.model.batch_size
        batches = [texts[start : start + size] for start in range(0, len(texts), size)]
        for each in [[batch] for batch in batches] if shares else [batches] if batches else []:
            await self._buy_together(each, missing, shares, found)

    async def _buy_together(
        self,
        batches: Sequence[Sequence[str]],
        hashes: Mapping[str, str],
        shares: Mapping[UUID, int],
        found: dict[str, Vector],
    ) -> None:
        """Ask for batches on one reservation, whose settlement stores the vectors."""
        most = await asyncio.to_thread(lambda: [self._worst_case(batch) for batch in batches])
        payee = Payee(self.model.model, self.model.model, self.model.allow_unknown_price)
        booking, purchase = Booking(payee, self.limits, self.purpose, total(most)), Purchase()
        await booking.open(uuid4().hex)
        try:
            async with booking.held():
                await booking.share_out(shares)
                for batch, worst in zip(batches, most, strict=True):
                    await self._ask({text: hashes[text] for text in batch}, worst, purchase)
        except BaseException as error:
            await finish(self._end(booking, purchase, type(error).__name__))
            raise
        await finish(self._end(booking, purchase))
        found |= purchase.vectors

    async def _ask(self, batch: Mapping[str, str], worst: Decimal | None, purchase: Purchase) -> None:
        try:
            rows, tokens = await self.model.ask(list(batch))
        except BaseException as error:
            if may_be_billed(error):
                purchase.add(None, None, worst)
                self.tokens = None
            raise
        purchase.add(tokens, cost(self.price, Usage(prompt_tokens=tokens, completion_tokens=0)), worst)
        self.tokens = None if self.tokens is None or tokens is None else self.tokens + tokens
        known = dict(zip(batch.values(), rows, strict=True))
        purchase.vectors |= known
        _bought.keep(self.purpose.tenant_id, known)

    async def _end(self, booking: Booking, purchase: Purchase, cause: str | None = None) -> None:
        """Count what was spent, before it failed if it did, or may have been; give the rest back."""
        if cause and purchase == Purchase():
            return await booking.release(cause)
        vectors = {key: as_stored(vector) for key, vector in purchase.vectors.items()}
        told: dict[str, Any] = {"charged": purchase.charged, "cause": cause, "vectors": vectors}
        await booking.close(purchase.usage, purchase.spent, **told)

    def _worst_case(self, texts: Sequence[str]) -> Decimal | None:
        return worst_case(self.price, count_prompt(list(texts), self.model.model).tokens, 0)
