"""The metered call of a reranker: reserved, stored and settled like any other model's."""

import asyncio
import json
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID

from blocks.language_model import LanguageModel
from blocks.reranker import Reranker
from blocks.tokens import count_prompt
from kowai.errors import PriceUnknown
from kowai.reranking import most_searches, price_of, scores_of, searches_of, tokens_of, without_text
from kowai.types import Usage
from tasks import accounts, spool
from tasks.accounts import Ahead, Purpose
from tasks.metered_engine import finish
from tasks.spool import Settlement


class RerankCall:
    """Follow one request from its reservation to its settlement."""

    def __init__(self, reranker: Reranker, limits: LanguageModel, purpose: Purpose) -> None:
        self.reranker, self.limits, self.purpose = reranker, limits, purpose
        self.id: UUID | None = None

    async def scores(self, query: str, documents: Sequence[str]) -> dict[int, float]:
        """Return a score by index: the stored ones where the same was asked before.

        Raises RerankerFailed, BudgetExhausted and PriceUnknown.
        """
        reserved = self._worst_case(query, documents)
        ahead = None if reserved is None else Ahead(self.reranker, reserved, self.limits)
        opened = await accounts.open_call(self._digest(query, documents), self.purpose, ahead)
        self.id = opened.call_id
        if opened.stored:
            return scores_of(opened.stored.reply, len(documents))
        try:
            if not opened.is_reserved:
                await self._reserve(opened.call_id, reserved)
            async with accounts.renewed(opened.call_id, self.purpose.tenant_id):
                reply = await self.reranker.ask(query, documents)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or isinstance(error.__cause__, TimeoutError):
                # whether it is billed nobody knows: assume the worst
                await finish(self._close(opened.call_id, Usage(), None, charged=reserved, reply=None))
            else:
                await finish(accounts.release(opened.call_id, self.purpose.tenant_id, type(error).__name__))
            raise
        await finish(self._settle(opened.call_id, reply, reserved))
        try:
            return scores_of(reply, len(documents))
        except Exception:
            await accounts.spoil(opened.call_id, self.purpose.tenant_id, "unreadable")
            raise

    async def _reserve(self, call_id: UUID, amount: Decimal | None) -> None:
        if amount is None and not self.reranker.allow_unknown_price:
            raise PriceUnknown(
                f"No price is known for '{self.reranker.name}': give it one in the block, or allow an unknown price."
            )
        asked: dict[str, Any] = {"model": self.limits, "target": self.reranker, "fallback": False}
        await accounts.reserve(call_id, self.purpose, amount or Decimal(0), **asked)

    def _worst_case(self, query: str, documents: Sequence[str]) -> Decimal | None:
        if not self.reranker.price:
            return self.reranker.price
        tokens = [count_prompt([query, document], self.reranker.model).tokens for document in documents]
        return self._priced(sum(tokens), most_searches(tokens))

    def _priced(self, tokens: int | None, searches: int | None) -> Decimal | None:
        return price_of(self.reranker.price, self.reranker.priced_by, tokens=tokens, searches=searches)

    async def _settle(self, call_id: UUID, reply: dict[str, Any], reserved: Decimal | None) -> None:
        """Store the reply and what it cost; where the endpoint does not say, the reservation is what counts."""
        used = tokens_of(reply)
        spent = self._priced(used, searches_of(reply))
        usage = Usage(prompt_tokens=used, completion_tokens=None if used is None else 0)
        await self._close(
            call_id, usage, spent, charged=reserved if spent is None else spent, reply=without_text(reply)
        )

    async def _close(
        self, call_id: UUID, usage: Usage, spent: Decimal | None, *, charged: Decimal | None, reply: Any
    ) -> None:
        settlement = Settlement(
            call_id=call_id,
            tenant_id=self.purpose.tenant_id,
            state="void" if reply is None else "settled",
            cause="abandoned" if reply is None else None,
            reply=reply,
            target=self.reranker.name,
            model=self.reranker.model,
            fallback=False,
            usage=usage,
            cost=spent,
            charged=charged or Decimal(0),
        )
        spool.keep(settlement)
        await accounts.settle(settlement)

    def _digest(self, query: str, documents: Sequence[str]) -> str:
        asked = ["rerank", self.reranker.endpoint, self.reranker.model, query, list(documents)]
        return sha256(json.dumps(asked).encode()).hexdigest()
