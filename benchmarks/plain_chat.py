"""The baseline of the chat benchmark: the same embedder, search and model behind a plain FastAPI handler.

No Prefect, no key, no ledger, and nothing is written down.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import dspy
import numpy as np
from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel, SecretStr

from blocks.database import Database
from blocks.embedder import Embedder
from blocks.engines import AsyncFailover, BlockingEngine
from blocks.language_model import Target
from kowai.citations import cite
from kowai.personas import personas
from kowai.quoting import quoted_passages
from kowai.signatures import AnswerFromPassages
from tasks.search_sql import search

TENANT = UUID(os.environ["PLAIN_TENANT"])
PASSAGES = 8

app = FastAPI()
embedder = Embedder()
store = Database(url=SecretStr(os.environ["PLAIN_DATABASE_URL"]))
engine = AsyncFailover([Target(name="stub", model="stub", endpoint=os.environ["PLAIN_MODEL_URL"])])
predict = dspy.Predict(AnswerFromPassages)


class Asked(BaseModel):
    query: str


@app.post("/chat")
async def chat(asked: Asked) -> dict[str, str]:
    """Embed, search, ask the model, check its citations."""
    vectors = await embedder.embed([asked.query], purpose="query")
    async with store.transaction(TENANT) as connection:
        found = await search(
            connection, asked.query, vectors[0].tolist(), space=embedder.space.model, k=PASSAGES, filters={}
        )
    model = dspy.LM(
        "kowai/careful",
        engine=BlockingEngine(engine, asyncio.get_running_loop()),
        async_engine=engine,
        cache=False,
        num_retries=0,
    )
    adapter = dspy.ChatAdapter(use_json_adapter_fallback=False)
    with dspy.context(lm=model, adapter=adapter, disable_history=True):
        said = await predict.acall(
            voice=personas()["assistant"].voice(),
            conversation="",
            passages=quoted_passages(found),
            question=asked.query,
        )
    return {"answer": (await cite(str(cast(Any, said).answer), found, _vectors)).text}


async def _vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    return await embedder.embed(texts, purpose="document")
