"""One call to a rerank endpoint, as Cohere, Jina, vLLM, Infinity and LiteLLM's proxy serve it."""

import asyncio
import time
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from blocks.http_client import SHOWN, http_client
from kowai.circuits import Circuit
from kowai.reranking import RerankerFailed

_circuits: dict[tuple[str, str], Circuit] = {}


class Reranker(BaseModel):
    """Name one model that puts passages in order, behind `POST /rerank`."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(title="Name", description="What settings and searches call it, for example 'jina'.")
    model: str = Field(title="Model", description="The name the endpoint serves it by.")
    endpoint: str = Field(
        title="Endpoint", description="Base URL, for example http://127.0.0.1:8000/v1; /rerank is added."
    )
    api_key: SecretStr = Field(default=SecretStr(""), title="API key", description="Sent as a bearer token.")
    candidates: int = Field(
        default=50, ge=1, le=200, title="Candidates", description="How many of the best passages it puts in order."
    )
    timeout_seconds: float = Field(
        default=2.0, gt=0, title="Timeout", description="Seconds; after that the order of the search stands."
    )
    price: Decimal | None = Field(
        default=None,
        ge=0,
        title="Price",
        description="US dollars per million tokens or per thousand searches; 0 for a model of your own.",
    )
    priced_by: Literal["tokens", "searches"] = Field(
        default="tokens", title="Priced by", description="Tokens, or searches of up to a hundred passages."
    )
    allow_unknown_price: bool = Field(
        default=False,
        title="Allow an unknown price",
        description="Call it although no price is known: such calls cannot be counted against a limit.",
    )

    async def ask(self, query: str, documents: Sequence[str]) -> dict[str, Any]:
        """Return what the endpoint says, from one attempt. Raises RerankerFailed."""
        circuit = _circuits.setdefault((self.endpoint, self.model), Circuit())
        if not circuit.enter(time.monotonic()):
            raise RerankerFailed(f"The reranker '{self.name}' is resting after failures.")
        try:
            async with asyncio.timeout(self.timeout_seconds):
                reply = await self._posted(query, documents)
        except (RerankerFailed, TimeoutError) as error:
            circuit.fail(time.monotonic())
            if isinstance(error, TimeoutError):
                late = f"The reranker '{self.name}' did not answer within {self.timeout_seconds:g} s."
                raise RerankerFailed(late) from error
            raise
        except BaseException:
            circuit.leave()
            raise
        circuit.succeed()
        return reply

    async def _posted(self, query: str, documents: Sequence[str]) -> dict[str, Any]:
        key = self.api_key.get_secret_value()
        asked = {"model": self.model, "query": query, "documents": list(documents), "top_n": len(documents)}
        try:
            response = await http_client().post(
                f"{self.endpoint.rstrip('/')}/rerank",
                json=asked,
                headers={"Authorization": f"Bearer {key}"} if key else {},
                timeout=self.timeout_seconds,
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise TimeoutError from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RerankerFailed(f"The reranker '{self.name}' cannot be reached.", operator=repr(error)) from error
        if not response.is_success:
            sentence = f"The reranker '{self.name}' answered {response.status_code}."
            raise RerankerFailed(sentence, operator=response.text[:SHOWN])
        return _read(response, self.name)


def _read(response: httpx.Response, name: str) -> dict[str, Any]:
    try:
        return dict(response.json())
    except (ValueError, TypeError) as error:
        sentence = f"The reply of the reranker '{name}' cannot be understood."
        raise RerankerFailed(sentence, operator=response.text[:SHOWN]) from error
