"""The account of one request to an endpoint that is paid: opened with its worst case, then closed or released."""

from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from blocks.language_model import LanguageModel
from kowai.errors import PriceUnknown
from kowai.types import Usage
from tasks import accounts, spool
from tasks.accounts import Ahead, Purpose, Stored
from tasks.finishing import finish
from tasks.spool import Settlement

NO_VECTORS: Mapping[str, bytes] = {}


class Payee(NamedTuple):
    """Say who is paid, and whether it may be asked although no price is known."""

    name: str
    model: str
    allow_unknown_price: bool


class Booking:
    """Follow one request from its reservation, of `worst` US dollars, to its end; None is unknown."""

    def __init__(self, payee: Payee, limits: LanguageModel, purpose: Purpose, worst: Decimal | None) -> None:
        self.payee, self.limits, self.purpose, self.worst = payee, limits, purpose, worst
        self.id: UUID | None = None

    async def open(self, digest: str) -> Stored | None:
        """Reserve the worst case, or return the reply that the same was answered with.

        Raises BudgetExhausted and PriceUnknown.
        """
        ahead = None if self.worst is None else Ahead(self.payee, self.worst, self.limits)
        opened = await accounts.open_call(digest, self.purpose, ahead)
        self.id = opened.call_id
        if opened.stored or opened.is_reserved:
            return opened.stored
        try:
            await self._reserve(opened.call_id)
        except BaseException as error:
            await finish(self.release(type(error).__name__))
            raise
        return None

    async def _reserve(self, call_id: UUID) -> None:
        if self.worst is None and not self.payee.allow_unknown_price:
            name = self.payee.name
            raise PriceUnknown(f"No price is known for '{name}': give it one in the block, or allow an unknown price.")
        asked: dict[str, Any] = {"model": self.limits, "target": self.payee, "fallback": False}
        await accounts.reserve(call_id, self.purpose, self.worst or Decimal(0), **asked)

    def held(self) -> AbstractAsyncContextManager[None]:
        """Keep the reservation for as long as the block runs."""
        assert self.id
        return accounts.renewed(self.id, self.purpose.tenant_id)

    async def share_out(self, shares: Mapping[UUID, int]) -> None:
        """Note how many of the request's texts are of which item or document, by which sources share its cost."""
        if self.id and shares:
            await accounts.share_out(self.id, self.purpose.tenant_id, shares)

    async def close(
        self,
        usage: Usage,
        spent: Decimal | None,
        *,
        charged: Decimal | None,
        reply: Any = None,
        cause: str | None = None,
        vectors: Mapping[str, bytes] = NO_VECTORS,
    ) -> None:
        """Count what was spent, or may have been: with a `cause` nobody reads the reply again.

        What `vectors` were bought, by their hashes, is stored all the same.
        """
        assert self.id
        settlement = Settlement(
            call_id=self.id,
            tenant_id=self.purpose.tenant_id,
            state="void" if cause else "settled",
            cause=cause,
            reply=reply,
            target=self.payee.name,
            model=self.payee.model,
            fallback=False,
            usage=usage,
            cost=spent,
            charged=charged or Decimal(0),
            vectors={key: b64encode(vector).decode() for key, vector in vectors.items()},
        )
        spool.keep(settlement)
        await accounts.settle(settlement)

    async def release(self, cause: str) -> None:
        """Give back what was reserved."""
        assert self.id
        await accounts.release(self.id, self.purpose.tenant_id, cause)
