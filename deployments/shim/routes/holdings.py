"""Documents that are held: listed, accounted for, recalled and deleted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from deployments.shim.identity import Principal, may
from tasks import documents, duplicates
from tasks.documents import Account, CitingAnswer, HeldDocument
from tasks.duplicates import Duplicate, compare_documents
from tasks.forget import Certificate, forget, list_certificates, name_of
from tasks.remove import remove_originals

router = APIRouter(prefix="/api/v1", tags=["documents"])

Reader = Annotated[Principal, Depends(may("documents.read"))]
Tracer = Annotated[Principal, Depends(may("answers.trace"))]
Deleter = Annotated[Principal, Depends(may("documents.delete"))]

Limit = Annotated[int, Query(ge=1, le=1000, description="How many at most.")]
Name = Annotated[str, Query(min_length=1, description="The name a document is known by.")]


class Documents(BaseModel):
    documents: list[HeldDocument]
    next: str | None


class Duplicates(BaseModel):
    duplicates: list[Duplicate]


class LedgerView(BaseModel):
    """Account for everything accepted: accepted = indexed + unchanged + quarantined + dead + in_progress."""

    total: Account
    sources: list[Account]


class Answers(BaseModel):
    answers: list[CitingAnswer]


class Certificates(BaseModel):
    certificates: list[Certificate]


@router.get("/documents")
async def list_documents(
    caller: Reader,
    search: Annotated[str | None, Query(description="Part of a name or title.")] = None,
    media_type: Annotated[str | None, Query(description="Such as application/pdf.")] = None,
    source_id: Annotated[UUID | None, Query(description="Only what was found in this source.")] = None,
    after: Annotated[str | None, Query(description="The `next` of the page before.")] = None,
    limit: Limit = 100,
) -> Documents:
    """List documents by name."""
    wanted = {"search": search, "media_type": media_type, "source_id": source_id, "after": after}
    found = await documents.list_documents(caller.tenant_id, limit=limit, **wanted)
    return Documents(documents=found, next=found[-1].external_id if len(found) == limit else None)


@router.get("/documents/duplicates")
async def list_duplicates(caller: Reader, limit: Limit = 1000) -> Duplicates:
    """List documents that say almost what another says, those of one other together."""
    return Duplicates(duplicates=await duplicates.list_duplicates(caller.tenant_id, limit=limit))


@router.get("/ledger")
async def get_ledger(caller: Reader) -> LedgerView:
    """Return where everything ever accepted stands, in total and for each source."""
    total, sources = await documents.read_accounts(caller.tenant_id)
    return LedgerView(total=total, sources=sources)


@router.get("/documents/{document_id}")
async def get_document(document_id: UUID, caller: Reader) -> HeldDocument:
    return await documents.read_document(document_id, caller.tenant_id)


@router.get("/documents/{document_id}/answers")
async def recall(document_id: UUID, caller: Tracer, limit: Limit = 1000) -> Answers:
    """Return every answer that was made from a document, the newest first."""
    return Answers(answers=await documents.list_answers(document_id, caller.tenant_id, limit=limit))


@router.delete("/documents/{document_id}")
async def delete_document(document_id: UUID, caller: Deleter) -> Certificate:
    """Delete a document and all that quotes it, and return the certificate."""
    return await _forget(await name_of(document_id, caller.tenant_id), caller)


@router.delete("/documents")
async def delete_named(external_id: Name, caller: Deleter) -> Certificate:
    """Delete a document by the name it is known by, also one that is dead, waiting or being read just now."""
    return await _forget(external_id, caller)


@router.get("/deletion-certificates")
async def get_certificates(caller: Deleter, limit: Limit = 100) -> Certificates:
    """Return what was deleted, the newest first; each certificate's hash covers the one before it."""
    return Certificates(certificates=await list_certificates(caller.tenant_id, limit=limit))


async def _forget(external_id: str, caller: Principal) -> Certificate:
    certificate = await forget(external_id, caller.tenant_id, requested_by=caller.id)
    await remove_originals(caller.tenant_id)
    await compare_documents(caller.tenant_id)  # those that it stood for
    return certificate
