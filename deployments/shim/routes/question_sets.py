"""Sets of questions: sent as JSON, or uploaded as CSV or JSON Lines."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import UploadFile

from deployments.shim.identity import Principal, may
from kowai.errors import InvalidInput, TooLarge
from kowai.question_sets import MOST_BYTES, MOST_QUESTIONS, Parsed, read_file, read_rows
from tasks.question_sets import list_question_sets, receive_question_set

router = APIRouter(prefix="/api/v1", tags=["batches"])
LISTED = 1000

Reader = Annotated[Principal, Depends(may("batches.read"))]
Runner = Annotated[Principal, Depends(may("batches.run"))]


class Row(BaseModel):
    """Hold one question and the id you know it by."""

    model_config = ConfigDict(extra="allow")

    id: str | int | None = Field(None, description="Left out: the question's place in the list.")
    question: str = Field(description="Up to 8,000 characters.")


class NewSet(BaseModel):
    """Send a list of questions."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field("questions", min_length=1, max_length=200, description="What the set is called.")
    questions: list[str | Row] = Field(min_length=1, max_length=2 * MOST_QUESTIONS, description="Texts, or objects.")

    def rows(self) -> list[str | dict[str, Any]]:
        return [row if isinstance(row, str) else row.model_dump() for row in self.questions]


class Rejected(BaseModel):
    """Name a line that holds no question, counted from 1, and say why."""

    line: int
    code: str
    message: str


class StoredSet(BaseModel):
    """Hold what was stored; `rejected` lists the first thousand of the `rejections`."""

    question_set_id: UUID
    name: str
    questions: int
    rejections: int
    rejected: list[Rejected]


class ListedSet(BaseModel):
    id: UUID
    name: str
    created_at: datetime
    questions: int


FILE = {"type": "string", "format": "binary", "description": "CSV with a column `question`, or JSON Lines."}
BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {"schema": NewSet.model_json_schema(ref_template="#/components/schemas/{model}")},
        "multipart/form-data": {"schema": {"type": "object", "required": ["file"], "properties": {"file": FILE}}},
        "text/csv": {"schema": {"type": "string"}},
        "application/jsonl": {"schema": {"type": "string"}},
    },
}
BODY["content"]["application/json"]["schema"].pop("$defs", None)


@router.post("/question-sets", status_code=201, openapi_extra={"requestBody": BODY})
async def add_question_set(request: Request, caller: Runner) -> StoredSet:
    """Store a set of questions; a line that holds none is named, and the others are kept."""
    name, parsed = await _received(request)
    set_id = await receive_question_set(name, parsed.questions, caller.tenant_id)
    return stored(set_id, name, parsed)


@router.get("/question-sets")
async def get_question_sets(caller: Reader) -> list[ListedSet]:
    """List the tenant's sets, newest first."""
    return [ListedSet.model_validate(row) for row in await list_question_sets(caller.tenant_id)]


def stored(set_id: UUID, name: str, parsed: Parsed) -> StoredSet:
    rejected = [Rejected(line=bad.line, code=bad.error.code, message=bad.error.sentence) for bad in parsed.bad[:LISTED]]
    return StoredSet(
        question_set_id=set_id,
        name=name,
        questions=len(parsed.questions),
        rejections=len(parsed.bad),
        rejected=rejected,
    )


async def _received(request: Request) -> tuple[str, Parsed]:
    """Return the set's name and questions, whichever way they came."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if int(request.headers.get("content-length") or 0) > MOST_BYTES + 10_000:
        raise TooLarge(f"A set of questions may have {MOST_BYTES // 1_000_000} MB: split it.")
    if kind == "multipart/form-data":
        return await _uploaded(request)
    if kind in ("", "application/json"):
        try:
            new = NewSet.model_validate_json(await request.body())
        except ValidationError as error:
            fault = error.errors()[0]
            where = ".".join(map(str, fault["loc"]))
            raise InvalidInput(f"The set of questions cannot be read: {where}: {fault['msg']}.") from error
        return new.name, read_rows(new.rows(), new.name)
    name = request.query_params.get("name") or ("questions.csv" if "csv" in kind else "questions.jsonl")
    suffixed = name if "." in name or "csv" in kind else f"{name}.jsonl"
    return name, read_file(await request.body(), suffixed)


async def _uploaded(request: Request) -> tuple[str, Parsed]:
    async with request.form() as form:
        file = next((part for part in form.values() if isinstance(part, UploadFile)), None)
        if file is None:
            raise InvalidInput("The form holds no file: send it as the part `file`.")
        chosen = form.get("name")
        name = file.filename or "questions.csv"
        parsed = read_file(await file.read(), name)
        return chosen if isinstance(chosen, str) and chosen else name, parsed
