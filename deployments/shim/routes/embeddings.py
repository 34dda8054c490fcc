"""OpenAI's embeddings: the vectors by which documents and questions are compared."""

from base64 import b64encode
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from blocks.connections import embedder
from deployments.shim.identity import Principal, may
from kowai.errors import InvalidInput
from tasks import metered
from tasks.spaces import current_embedder

router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

Embedder = Annotated[Principal, Depends(may("embeddings.make"))]

MOST_TEXTS = 2048


class OtherDimensions(InvalidInput):
    code, param = "other_dimensions", "dimensions"


class Embeddings(BaseModel):
    """Ask for vectors. OpenAI's own client asks for base64: little-endian 32-bit floats."""

    model_config = ConfigDict(extra="ignore")

    input: str | list[str] = Field(min_length=1, max_length=1_000_000, description="A text, or up to 2,048 of them.")
    model: str = Field("", description="Ignored: there is one vector space, and the reply names it.")
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, description="Refused unless it is the length that the vectors have.")


@router.post("/embeddings")
async def embed(wanted: Embeddings, caller: Embedder) -> dict[str, Any]:
    """Return one vector a text, in order.

    `usage` is what the model read: an endpoint of your own or a paid one reports it, and what the tenant bought before
    is not read again. It is null where an endpoint does not say.
    """
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if len(texts) > MOST_TEXTS:
        raise InvalidInput(f"At most {MOST_TEXTS:,} texts may be embedded at once.")
    block = await current_embedder()
    model = await embedder(block)
    if wanted.dimensions not in (None, model.space.dimensions):
        raise OtherDimensions(f"The vectors have {model.space.dimensions} dimensions and cannot be shortened.")
    vectors, space, counted, _ = await metered.embed(texts, caller.tenant_id, purpose="document", block=block)
    encode = _as_base64 if wanted.encoding_format == "base64" else np.ndarray.tolist
    data = [{"object": "embedding", "index": n, "embedding": encode(row)} for n, row in enumerate(vectors)]
    tokens = await model.count_tokens(texts) if counted is None else counted
    usage = None if tokens is None else {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": space.model, "data": data, "usage": usage}


def _as_base64(vector: Any) -> str:
    return b64encode(vector.astype("<f4").tobytes()).decode()
