"""Replays: what an answer was made of, and the same answer made again."""

import secrets
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from kowai.replay import Record, Replay
from tasks.locate import locate
from tasks.replay import read_record, replay, shown_prompt
from tasks.step import traced

router = APIRouter(prefix="/api/v1", tags=["queries"])

Reader = Annotated[Principal, Depends(may("answers.trace"))]
Replayer = Annotated[Principal, Depends(may("answers.replay"))]


class Wanted(BaseModel):
    """Say how to replay."""

    model_config = ConfigDict(extra="forbid")

    fresh: bool = Field(
        False, description="Ask the model anew, which is paid; else its stored reply is read again, which is not."
    )


@router.get("/query/{query_id}/replay")
async def get_record(query_id: UUID, caller: Reader) -> Record:
    """Show an answer's question, persona version, prompt, passages with scores and versions, model, cost and run."""
    record = await read_record(query_id, caller.tenant_id)
    passages = await locate([source.passage for source in record.passages], caller.tenant_id)
    sources = [
        source.model_copy(update={"passage": passage})
        for source, passage in zip(record.passages, passages, strict=True)
    ]
    citations = await locate(record.answer.citations, caller.tenant_id)
    answer = record.answer.model_copy(update={"citations": tuple(citations)})
    shown = {"prompt": shown_prompt(record), "passages": tuple(sources), "answer": answer}
    return record.model_copy(update=shown)


@router.post("/query/{query_id}/replay")
async def replay_answer(query_id: UUID, caller: Replayer, wanted: Wanted | None = None) -> Replay:
    """Make the answer again from its stored passages and prompt; show the difference as a unified diff."""
    with traced():
        record = await read_record(query_id, caller.tenant_id)
        sample = 1 + secrets.randbelow(2**31) if wanted and wanted.fresh else 0
        return await replay(record, caller.tenant_id, sample)
