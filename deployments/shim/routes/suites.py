"""Suites: uploaded in any known form, drawn from what really was asked, and listed."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import UploadFile

from deployments.shim.identity import Principal, may
from kowai.errors import InvalidInput, TooLarge
from kowai.suite_formats import MOST_BYTES, formats, read_suite
from kowai.suites import PRODUCTION, ParsedSuite
from tasks.drawing import SOURCES, draw_suite
from tasks.suites import list_suites, receive_suite

router = APIRouter(prefix="/api/v1", tags=["evaluations"])
LISTED = 1000

Reader = Annotated[Principal, Depends(may("evaluations.read"))]
Runner = Annotated[Principal, Depends(may("evaluations.run"))]

FILE = {"type": "array", "items": {"type": "string", "format": "binary"}}
FIELDS = {
    "files": {**FILE, "description": "One file, or those of a BEIR folder by their paths in it."},
    "name": {"type": "string", "description": "What the suite is called, unless it says so itself."},
    "form": {"type": "string", "enum": [*formats()], "description": "Left out: what the files look like."},
}
BODY = {"required": True, "content": {"multipart/form-data": {"schema": {"type": "object", "properties": FIELDS}}}}


class RejectedCase(BaseModel):
    """Name a record that is no case, and say why."""

    where: str
    code: str
    message: str


class StoredSuite(BaseModel):
    """Hold what was stored; `rejected` lists the first thousand of the `rejections`."""

    suite_id: UUID
    name: str
    cases: int
    rejections: int
    rejected: list[RejectedCase]


class ListedSuite(BaseModel):
    id: UUID
    name: str
    version: int
    cases: int
    origin: str
    created_at: datetime


class Drawing(BaseModel):
    """Say what a suite is to be drawn from."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(PRODUCTION, min_length=1, max_length=100, description="What the suite is called.")
    sources: list[str] = Field(default_factory=lambda: [*SOURCES], description=f"Any of {', '.join(SOURCES)}.")
    days: int = Field(30, ge=1, le=3650, description="How far to look back.")
    limit: int = Field(500, ge=1, le=10_000, description="How many questions at most.")


@router.post("/suites", status_code=201, openapi_extra={"requestBody": BODY})
async def add_suite(request: Request, caller: Runner) -> StoredSuite:
    """Store a suite as its name's next version; a record that is no case is named, and the others are kept."""
    if int(request.headers.get("content-length") or 0) > MOST_BYTES + 100_000:
        raise TooLarge(f"A suite may have {MOST_BYTES // 1_000_000} MB: split it.")
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidInput("Send the suite's file as the part `files` of a form.")
    async with request.form(max_files=1000) as form:
        uploads = [part for part in form.getlist("files") if isinstance(part, UploadFile)]
        if not uploads:
            raise InvalidInput("The form holds no file: send it as the part `files`.")
        files = {upload.filename or "suite.yaml": await upload.read() for upload in uploads}
        given, form_name = form.get("name"), form.get("form")
    first = next(iter(files))
    name = given if isinstance(given, str) and given else _stem(first)
    parsed = read_suite(files, name, form_name if isinstance(form_name, str) and form_name else None)
    suite_id = await receive_suite(parsed.suite, first, caller.tenant_id)
    return _stored(suite_id, parsed)


@router.post("/suites:draw", status_code=201)
async def add_drawn_suite(caller: Runner, wanted: Drawing | None = None) -> StoredSuite:
    """Draw a suite from production: disliked, unsure, refused and failed answers; somebody still has to label it."""
    drawing = wanted or Drawing.model_validate({})
    parsed = await draw_suite(drawing.name, drawing.sources, drawing.days, drawing.limit, tenant_id=caller.tenant_id)
    return _stored(await receive_suite(parsed.suite, PRODUCTION, caller.tenant_id), parsed)


@router.get("/suites")
async def get_suites(caller: Reader) -> list[ListedSuite]:
    """List the versions of the tenant's suites, newest first."""
    return [ListedSuite.model_validate(row) for row in await list_suites(caller.tenant_id)]


def _stem(path: str) -> str:
    return path.replace("\\", "/").strip("/").partition("/")[0].rpartition(".")[0] or path


def _stored(suite_id: UUID, parsed: ParsedSuite) -> StoredSuite:
    rejected = [
        RejectedCase(where=bad.where, code=bad.error.code, message=bad.error.sentence) for bad in parsed.bad[:LISTED]
    ]
    name, cases = parsed.suite.about.name, len(parsed.suite.cases)
    return StoredSuite(suite_id=suite_id, name=name, cases=cases, rejections=len(parsed.bad), rejected=rejected)
