"""The one door to models: reserve the worst case, call, settle what it cost; what was paid for once is read again."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, Literal, NamedTuple, cast
from uuid import UUID

import dspy
import numpy as np
from dspy.utils.exceptions import AdapterParseError
from numpy.typing import NDArray
from prefect.context import FlowRunContext

from blocks.connections import NAME, embedder, language_model, policy
from blocks.embedder import Space
from blocks.price_table import embedding_price
from kowai.embedding.states import Encoded
from kowai.errors import KowaiError, Misconfigured, ModelFailed, ModelRefused, ModelUnreadable
from kowai.extraction.field import Read
from kowai.masking import Masking
from kowai.reranking import RerankerFailed
from kowai.types import Reply
from tasks.accounts import Purpose, spoil
from tasks.limited_engine import LimitedEngine, Purse
from tasks.masked_engine import MaskedEngine, Relay
from tasks.metered_embedder import EmbedCall
from tasks.metered_engine import MeteredEngine
from tasks.metered_reranker import RerankCall
from tasks.policy import policy_of
from tasks.speaking import say, speaking

Vectors = NDArray[np.float32]
Hear = Callable[[str], None]
NOBODY: Mapping[UUID, int] = {}
NO_MODEL = "No language model is configured: add a target to the block kowai-language-model/kowai."


class Embedding(NamedTuple):
    """Hold one L2-normalised vector a text, shape (n, dimensions), their space and the tokens that were counted.

    Tokens are what an endpoint reports, none of what was paid for before; by `kept` that is found until it is indexed.
    """

    vectors: Vectors
    space: Space
    tokens: int | None = None
    kept: tuple[str, ...] = ()


class Ranked(NamedTuple):
    """Hold the relevance of documents by their index, and the call that was paid for it."""

    scores: dict[int, float]
    call_id: UUID | None


async def embed(
    texts: Sequence[str],
    tenant_id: UUID,
    *,
    purpose: Literal["query", "document"],
    block: str = NAME,
    query_id: UUID | None = None,
    shares: Mapping[UUID, int] = NOBODY,
) -> Embedding:
    """Return the vectors of texts by the embedder block.

    Another machine's model gets texts without personal data, as the policy block says for all tenants, and is paid on
    this tenant's account. `shares` counts the texts of each item or document that is indexed: no request's limit holds
    for those. Raises BudgetExhausted.
    """
    model = await embedder(block)
    if model.provider != "openai":
        asker = tenant_id if purpose == "query" else None
        return Embedding(await model.embed(texts, purpose=purpose, asker=asker), model.space)
    if (await policy()).rules().masks_prompts:
        texts = [Masking().mask(text) for text in texts]
    if not (price := embedding_price(model)) and price is not None:
        reply = await model.embed_counted(texts, purpose)
        return Embedding(reply.vectors, model.space, reply.tokens)
    account = Purpose(tenant_id, query_id, _flow(), "index" if shares else "embed")
    call = EmbedCall(model, price, await language_model(), account)
    vectors = await call.vectors(model.prefixed(texts, purpose), shares)
    return Embedding(vectors, model.space, call.tokens, call.kept)


def states_for(tenant_id: UUID) -> Read:
    """Return what shows the states of tokens, the question's first; None where the embedder does not show them."""

    async def read(question: str, sentences: Sequence[str]) -> list[Encoded] | None:
        return await (await embedder()).read(question, sentences, tenant_id)

    return read


async def ask(
    signature: type[dspy.Signature],
    inputs: Mapping[str, Any],
    tenant_id: UUID,
    *,
    query_id: UUID | None = None,
    role: str = "careful",
    sample: int = 0,
    hear: Hear | None = None,
    plain: str | None = None,
    demos: Sequence[Mapping[str, Any]] = (),
    target: str | None = None,
    most: Decimal | None = None,
) -> Reply:
    """Return the model's reply to `signature`: the stored one when the same was asked before, unless `sample` differs.

    `demos` are examples of inputs with outputs; `target` names the target that is asked first, and `most`
    is what the call may cost in US dollars, beside the limits of the block and the tenant.

    `hear` is given the raw reply piece by piece as it comes; cancelling the caller ends the call and what it costs.
    A reply that has no form at all is the text of the field `plain`, if one is named.
    Raises BudgetExhausted when it could cost more than may be spent, ModelFailed when no target answers.
    """
    options: dict[str, Any] = {"sample": sample, "hear": hear, "target": target, "most": most}
    async with _account(tenant_id, query_id=query_id, role=role, **options) as (engine, speaker):
        fields = await say(speaker, signature, inputs, role=role, plain=plain, demos=demos)
    return _reply(fields, engine)


async def rerankable(reranker: str) -> int:
    """Return how many passages the reranker of that name puts in order; 0 where there is none."""
    return next((each.candidates for each in (await language_model()).rerankers if each.name == reranker), 0)


async def rerank(
    query: str, documents: Sequence[str], tenant_id: UUID, *, reranker: str, query_id: UUID | None = None
) -> Ranked:
    """Return the relevance of documents, as the reranker of that name in the block judges it.

    Raises RerankerFailed when it is unknown, down, slow or not to be understood, and BudgetExhausted.
    """
    block = await language_model()
    chosen = block.reranker(reranker)
    if not documents:  # the block was renewed since somebody looked how many it takes
        raise RerankerFailed(f"The reranker '{reranker}' has only just been configured.")
    purpose = Purpose(tenant_id, query_id, _flow(), "rerank")
    asked = [query, *documents]
    if (await policy_of(tenant_id)).masks_prompts:
        masking = Masking()
        asked = [masking.mask(text) for text in asked]
    call = RerankCall(chosen, block, purpose)
    return Ranked(await call.scores(asked[0], asked[1:]), call.id)


def _flow() -> str | None:
    """Return the name of the Prefect flow that this is a part of."""
    run = FlowRunContext.get()
    return run.flow.name if run and run.flow else None


@asynccontextmanager
async def spending(
    tenant_id: UUID,
    *,
    query_id: UUID | None = None,
    role: str = "careful",
    plain: str | None = None,
    target: str | None = None,
    purse: Purse | None = None,
) -> AsyncGenerator[MeteredEngine]:
    """Let every DSPy program inside the block, in worker threads too, speak on this tenant's account.

    With a `purse`, they also stop where that is empty.
    """
    async with _account(tenant_id, query_id=query_id, role=role, target=target) as (engine, speaker):
        if purse is not None:
            purse.calls, purse.unheard, speaker = engine.calls, engine.unheard, LimitedEngine(speaker, purse)
        with speaking(speaker, role, plain):
            yield engine


@asynccontextmanager
async def _account(
    tenant_id: UUID,
    *,
    query_id: UUID | None,
    role: str,
    sample: int = 0,
    hear: Hear | None = None,
    target: str | None = None,
    most: Decimal | None = None,
) -> AsyncGenerator[tuple[MeteredEngine, Any]]:
    """Give out the engine that spends on this tenant's account, and the one to speak through."""
    block = (await language_model()).preferring(target)
    if not block.targets:
        raise Misconfigured(NO_MODEL)
    purpose = Purpose(tenant_id, query_id, _flow(), role, most)
    masks = (await policy_of(tenant_id)).masks_prompts
    relay = Relay(hear) if hear and masks else None
    engine = MeteredEngine(block, purpose, sample=sample, hear=relay or hear)
    try:
        yield engine, MaskedEngine(engine, relay) if masks else engine
    except BaseException as error:
        known = await _known(error, engine)
        if known is error:
            raise
        raise known from (None if isinstance(known, ModelUnreadable) else error)  # the cause quotes the reply


async def _known(error: BaseException, engine: MeteredEngine) -> BaseException:
    """Return the error in KowAI's terms; a reply that could not be read will not be read again."""
    cause = _unwrapped(error)
    if engine.refusal is not None and isinstance(cause, dspy.LMError):  # DSPy has wrapped it, and streaming lost it
        return engine.refusal
    if isinstance(cause, KowaiError) or not isinstance(cause, Exception):
        return cause
    if isinstance(cause, AdapterParseError):
        return await _unreadable(cause, engine)
    if not isinstance(cause, dspy.LMError):
        return error
    kind = ModelFailed if dspy.is_retryable_lm_error(cause) else ModelRefused
    return kind("No language model answered.", operator=f"{type(cause).__name__}: {cause}")


async def _unreadable(error: Exception, engine: MeteredEngine) -> ModelFailed:
    last = engine.calls[-1]
    await spoil(last.call_id, engine.purpose.tenant_id, "unreadable")
    return ModelUnreadable(
        f"The reply of '{last.target}' did not have the asked-for form.", operator=type(error).__name__
    )


def _unwrapped(error: BaseException) -> BaseException:
    """Return what a task group's error holds."""
    while isinstance(error, BaseExceptionGroup):
        error = cast(BaseExceptionGroup[BaseException], error).exceptions[0]
    return error


def _reply(fields: dict[str, Any], engine: MeteredEngine) -> Reply:
    last = engine.calls[-1]
    spoken: dict[str, Any] = {"model": last.target, "usage": last.usage, "cost": last.cost, "fallback": last.fallback}
    return Reply(fields=fields, call_id=last.call_id, **spoken)
