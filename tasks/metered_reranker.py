"""The metered call of a reranker: reserved, stored and settled like any other model's."""

import json
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from blocks.billing import may_be_billed
from blocks.language_model import LanguageModel
from blocks.reranker import Reranker
from blocks.tokens import count_prompt
from kowai.reranking import most_searches, price_of, scores_of, searches_of, tokens_of, without_text
from kowai.types import Usage
from tasks import accounts
from tasks.accounts import Purpose
from tasks.booking import Booking, Payee
from tasks.finishing import finish


class RerankCall:
    """Follow one request from its reservation to its settlement."""

    def __init__(self, reranker: Reranker, limits: LanguageModel, purpose: Purpose) -> None:
        self.reranker, self.limits, self.purpose = reranker, limits, purpose
        self.id: UUID | None = None

    async def scores(self, query: str, documents: Sequence[str]) -> dict[int, float]:
        """Return a score by index: the stored ones where the same was asked before.

        Raises RerankerFailed, BudgetExhausted and PriceUnknown.
        """
        payee = Payee(self.reranker.name, self.reranker.model, self.reranker.allow_unknown_price)
        booking = Booking(payee, self.limits, self.purpose, self._worst_case(query, documents))
        stored = await booking.open(self._digest(query, documents))
        self.id = booking.id
        if stored:
            return scores_of(stored.reply, len(documents))
        try:
            async with booking.held():
                reply = await self.reranker.ask(query, documents)
        except BaseException as error:
            if may_be_billed(error):
                await finish(booking.close(Usage(), None, charged=booking.worst, cause="abandoned"))
            else:
                await finish(booking.release(type(error).__name__))
            raise
        await finish(self._settle(booking, reply))
        return await self._read(reply, len(documents))

    async def _read(self, reply: dict[str, Any], count: int) -> dict[int, float]:
        try:
            return scores_of(reply, count)
        except Exception:
            assert self.id
            await accounts.spoil(self.id, self.purpose.tenant_id, "unreadable")
            raise

    def _worst_case(self, query: str, documents: Sequence[str]) -> Decimal | None:
        if not self.reranker.price:
            return self.reranker.price
        tokens = [count_prompt([query, document], self.reranker.model).tokens for document in documents]
        return self._priced(sum(tokens), most_searches(tokens))

    def _priced(self, tokens: int | None, searches: int | None) -> Decimal | None:
        return price_of(self.reranker.price, self.reranker.priced_by, tokens=tokens, searches=searches)

    async def _settle(self, booking: Booking, reply: dict[str, Any]) -> None:
        """Store the reply and what it cost; where the endpoint does not say, the reservation is what counts."""
        used = tokens_of(reply)
        spent = self._priced(used, searches_of(reply))
        usage = Usage(prompt_tokens=used, completion_tokens=None if used is None else 0)
        charged = booking.worst if spent is None else spent
        await booking.close(usage, spent, charged=charged, reply=without_text(reply))

    def _digest(self, query: str, documents: Sequence[str]) -> str:
        asked = ["rerank", self.reranker.endpoint, self.reranker.model, query, list(documents)]
        return sha256(json.dumps(asked).encode()).hexdigest()
