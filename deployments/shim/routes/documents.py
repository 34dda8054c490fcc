"""Documents: uploaded, sent as JSON, or named by where they lie."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, File, Query, Request, Response, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from blocks.connections import bucket
from deployments.shim.identity import Principal, may
from deployments.shim.ingestions import Mode, Wanted, ingest_once
from deployments.shim.ledgers import Ledger, read_ledger
from deployments.shim.repeats import Repeatable
from kowai.errors import DocumentTooLarge, InvalidInput
from kowai.labels import Handling
from kowai.settings import settings
from kowai.storable import storable
from tasks.sources import remember

router = APIRouter(prefix="/api/v1", tags=["documents"])
LARGEST_BATCH = 5_000

Reader = Annotated[Principal, Depends(may("documents.read"))]
Writer = Annotated[Principal, Depends(may("documents.write"))]
SourceWriter = Annotated[Principal, Depends(may("sources.write"))]


class Record(BaseModel):
    """Hold one document as JSON; `_id` comes back as external_id and offsets count characters of `text`."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    id: Annotated[str, AfterValidator(storable)] = Field(alias="_id", min_length=1, max_length=1000)
    title: str | None = Field(None, max_length=2000)
    text: str
    metadata: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Anything filters may ask for; content_type and language here override what is detected.",
    )


class Records(BaseModel):
    documents: list[Record] = Field(min_length=1, max_length=LARGEST_BATCH)
    mode: Mode = "sync"


class Sources(Handling):
    """Name folders, globs, files or URLs as the worker sees them."""

    sources: list[str] = Field(min_length=1, max_length=1000)
    mode: Mode = "background"

    def handling(self) -> dict[str, Any]:
        return self.model_dump(include=set(Handling.model_fields), exclude_none=True)


class Told(Handling):
    """Hold what a query string says of uploaded files: one model, for FastAPI reads no other beside it."""

    mode: Mode = "sync"

    def handling(self) -> dict[str, Any]:
        return self.model_dump(include=set(Handling.model_fields), exclude_none=True)


@router.post("/documents")
async def upload(
    files: Annotated[list[UploadFile], File(description="Any number of files.")],
    caller: Writer,
    request: Request,
    response: Response,
    repeats: Repeatable,
    told: Annotated[Told, Query()],
) -> Ledger:
    """Store the files and index them; each is known by its file name."""
    sources = [await _stored(file, caller.tenant_id) | told.handling() for file in files]
    wanted = Wanted("/documents", sources, told.mode)
    return await ingest_once(wanted, caller, repeats, request=request, response=response)


@router.post("/documents:batch")
async def add_records(
    records: Records, caller: Writer, request: Request, response: Response, repeats: Repeatable
) -> Ledger:
    """Index documents sent as JSON; answered when they can be found."""
    sources = await asyncio.to_thread(_kept, records.documents, caller.tenant_id)
    wanted = Wanted("/documents:batch", sources, records.mode)
    return await ingest_once(wanted, caller, repeats, request=request, response=response)


@router.post("/ingest")
async def ingest(
    named: Sources, caller: SourceWriter, request: Request, response: Response, repeats: Repeatable
) -> Ledger:
    """Read folders, globs, files or URLs as the worker sees them, now and every night."""
    await remember(named.sources, caller.tenant_id, named.handling())
    wanted = Wanted("/ingest", [{"uri": uri} | named.handling() for uri in named.sources], named.mode)
    return await ingest_once(wanted, caller, repeats, request=request, response=response)


@router.get("/ingestions/{ingestion_id}")
async def get_ledger(ingestion_id: UUID, caller: Reader) -> Ledger:
    """Return where every accepted document of an ingestion stands."""
    return await read_ledger(ingestion_id, caller.tenant_id)


async def _stored(file: UploadFile, tenant_id: UUID) -> dict[str, Any]:
    """Keep an uploaded file; one that is too large is counted as dead and takes no other along."""
    if not file.filename:
        raise InvalidInput("Every uploaded file needs a name.")
    if (file.size or 0) > settings().max_document_bytes:
        error = DocumentTooLarge.beyond(file.filename, settings().max_document_bytes)
        return {"uri": storable(file.filename), "cause": error.code, "sentence": error.sentence}
    storable(file.filename)
    original = await bucket().put(tenant_id, await file.read())
    return _source(file.filename, PurePath(file.filename).name, original)


def _kept(records: Sequence[Record], tenant_id: UUID) -> list[dict[str, Any]]:
    """Keep every record as an original of its own, in a thread that may wait."""
    lines = (json.dumps(one.model_dump(by_alias=True), ensure_ascii=False).encode(errors="replace") for one in records)
    originals = [bucket().keep(tenant_id, line) for line in lines]
    return [_source(one.id, "record.jsonl", original) for one, original in zip(records, originals, strict=True)]


def _source(external_id: str, name: str, original: str) -> dict[str, Any]:
    """Say where an original is kept, so that a dead letter can be replayed."""
    return {"uri": external_id, "external_id": external_id, "name": name, "original": original}
