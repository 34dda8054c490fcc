"""Deleted means gone: no table holds a document's text, no running work brings it back, a certificate stays."""

import asyncio
import os
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4
from zipfile import ZipFile

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import insert, select, text
from sqlalchemy.exc import ProgrammingError

from blocks.connections import bucket
from blocks.database import Database
from deployments.shim.answers import READ
from deployments.shim.batch_views import read_file
from flows.ingest import ingest_stored
from kowai.erasure import HOLD, name_hash, seal
from kowai.errors import NotFound
from kowai.question_sets import read_rows
from kowai.tables.ledger import Event, ModelCall
from kowai.types import Draft, Question, Usage, Verdict
from tasks import export_tenant as exporting
from tasks.accept import accept
from tasks.accounts import Purpose, open_call, settle
from tasks.batches import Order, receive_batch
from tasks.claim import claim
from tasks.compare import report_batch
from tasks.conversations import begin_conversation, delete_conversation
from tasks.documents import list_answers, list_dead_letters, list_documents, read_accounts
from tasks.drawing import draw_suite
from tasks.embed import embed_chunks
from tasks.event_log import tell
from tasks.export_tenant import DeletedMeanwhile, export_tenant
from tasks.feedback import give_feedback
from tasks.forget import certify, forget, list_certificates
from tasks.index import index
from tasks.question_sets import receive_question_set
from tasks.read import read
from tasks.read_back import ReadBack, reading_back
from tasks.receive import Inquiry, receive_ingestion, receive_query
from tasks.reconcile import mend
from tasks.record import close_stopped, record_answer, record_failure, record_refusal
from tasks.remove import remove_originals, sweep_bucket
from tasks.retrieve import find_passages
from tasks.spool import Settlement
from tasks.step import traced
from tasks.suites import receive_suite

SECRET = "zanzibarite"
CONTENT = f"The mineral {SECRET} is blue.".encode()


async def upload(tenant: UUID, name: str, content: bytes = CONTENT) -> UUID:
    original = await bucket().put(tenant, content)
    source = {"uri": name, "external_id": name, "name": name, "original": original}
    return await receive_ingestion([source], tenant)


async def learned(tenant: UUID, name: str, content: bytes = CONTENT) -> UUID:
    """Ingest one upload and return its document's id."""
    ingestion_id = await upload(tenant, name, content)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    return next(one.id for one in await list_documents(tenant) if one.external_id == name)


async def answered(
    store: Database, tenant: UUID, *, citing: bool = True, history: tuple = (), within: dict[str, UUID] | None = None
) -> UUID:
    """Ask about the mineral, answer with what is found, and keep a model's reply and an event about it."""
    query_id = await receive_query(Inquiry("Which mineral is blue?", history=history, **within or {}), tenant)
    passages = await find_passages("Which mineral is blue?", tenant, k=3, filters={})
    found = passages[0]
    same = found.model_dump(include={"document_id", "external_id", "title", "version", "page", "start", "end", "score"})
    cited = [{**same, "quote": found.text}] if citing else []
    told = f"It is {SECRET}." if citing else "Somebody else knows."
    draft = Draft(text=told, citations=cited, confidence=1.0, abstained=False, model="test")
    known = {"text": "q", "standalone": "q", "persona": "assistant", "filters": {}}
    await record_answer(Question(id=query_id, tenant_id=tenant, **known), draft, passages)
    call = {
        "tenant_id": tenant,
        "request_hash": uuid4().hex,
        "query_id": query_id,
        "role": "writer",
        "state": "settled",
    }
    async with store.transaction(tenant) as connection:
        reply = {"fields": {"answer": f"It is {SECRET}."}}
        await connection.execute(
            insert(ModelCall).values(**call, day=datetime.now(UTC).date(), reply=reply, reserved=0)
        )
        event = {"tenant_id": tenant, "subject": query_id, "kind": "token", "payload": {"text": SECRET}}
        await connection.execute(insert(Event).values(event))
    return query_id


def mentions(database_url: str, word: str) -> list[str]:
    """Return every table of the database in which the word occurs."""
    found: list[str] = []
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        tables = connection.execute("select tablename as name from pg_tables where schemaname = 'public'").fetchall()
        for table in tables:
            sql = f"select count(*) as rows from {table['name']} t where t::text ilike %s"
            if connection.execute(sql, [f"%{word}%"]).fetchone()["rows"]:  # type: ignore
                found.append(table["name"])
    return found


async def test_no_table_and_no_file_holds_a_deleted_document(
    store: Database, tenant: UUID, database_url: str, tmp_path: Path
) -> None:
    document_id = await learned(tenant, "minerals.txt")
    await learned(tenant, "minerals.txt", CONTENT + b" It is rare.")
    await answered(store, tenant)
    assert {"chunk", "document_version", "answer", "model_call", "event", "posting"} <= set(
        mentions(database_url, SECRET[:-1])  # its stem
    )
    certificate = await forget("minerals.txt", tenant)
    assert await remove_originals(tenant) == 2
    assert mentions(database_url, SECRET[:-1]) == []
    assert mentions(database_url, "minerals.txt") == []
    assert not [path for path in (tmp_path / "state" / "bucket").rglob("*") if path.is_file()]
    counts = certificate.counts
    assert (counts["documents"], counts["versions"], counts["chunks"], counts["vectors"]) == (1, 2, 1, 1)
    assert (counts["answers"], counts["replies"], counts["items"], counts["originals"]) == (1, 1, 2, 2)
    assert certificate.document_id == document_id
    assert (await read_accounts(tenant))[0].accepted == 0


async def in_batch(database_url: str, tenant: UUID, query_id: UUID) -> UUID:
    """Make the question the only item of a batch that is done, with a verdict on it, and return the batch."""
    set_id = await receive_question_set("set", read_rows(["Which mineral is blue?"]).questions, tenant)
    batch_id = await receive_batch(Order(set_id, ["assistant"]), tenant)
    with psycopg.connect(database_url) as connection:
        connection.execute("update batch_item set id = %s, state = 'done'", [query_id])
        connection.execute("set session_replication_role = replica")  # an evaluation is nothing to this
        verdict = [query_id, tenant, batch_id, f"It says {SECRET}."]
        connection.execute(
            "insert into case_score (id, tenant_id, evaluation_id, abstained, reason) values (%s, %s, %s, false, %s)",
            verdict,
        )
    await report_batch(batch_id, tenant)
    return batch_id


async def test_no_batch_and_no_verdict_quotes_a_deleted_document(
    store: Database, tenant: UUID, database_url: str
) -> None:
    await learned(tenant, "minerals.txt")
    batch_id = await in_batch(database_url, tenant, await answered(store, tenant))
    assert SECRET.encode() in await read_file(batch_id, tenant, "csv")
    assert (await forget("minerals.txt", tenant)).counts["results"] == 1
    assert await remove_originals(tenant) == 3
    assert mentions(database_url, SECRET[:-1]) == []
    assert not [path for path in bucket().folder.rglob("*") if path.is_file()]
    assert SECRET.encode() not in await read_file(batch_id, tenant, "csv")


async def test_a_suite_that_was_drawn_from_answers_expects_nothing_that_a_deleted_document_said(
    store: Database, tenant: UUID, database_url: str
) -> None:
    await learned(tenant, "minerals.txt")
    await give_feedback(await answered(store, tenant), tenant, uuid4(), "up", None)
    drawn = (await draw_suite("drawn", ["liked"], 30, 10, tenant_id=tenant)).suite
    assert drawn.cases[0].answers == (f"It is {SECRET}.",)
    await receive_suite(drawn, "production", tenant)
    own = drawn.model_copy(update={"about": drawn.about.model_copy(update={"name": "own"})})
    suite_id = await receive_suite(own, "own.yaml", tenant)
    await forget("minerals.txt", tenant)
    async with store.transaction(tenant) as connection:
        kept = await connection.scalars(text("select suite_id from suite_case where content::text like '%zanz%'"))
        assert kept.all() == [suite_id]  # what somebody wrote is theirs


async def test_nothing_is_left_of_a_deleted_conversation_that_a_deleted_document_could_be_read_in(
    store: Database, tenant: UUID, database_url: str
) -> None:
    caller = uuid4()
    conversation_id = await begin_conversation(tenant, caller)
    await learned(tenant, "minerals.txt")
    await answered(store, tenant, within={"asked_by": caller, "conversation_id": conversation_id})
    with pytest.raises(NotFound):
        await delete_conversation(conversation_id, tenant, uuid4())
    assert "model_call" in mentions(database_url, SECRET)
    await delete_conversation(conversation_id, tenant, caller)
    await forget("minerals.txt", tenant)
    assert mentions(database_url, SECRET[:-1]) == []


async def test_no_export_holds_a_deleted_conversation(store: Database, tenant: UUID, other_tenant: UUID) -> None:
    caller = uuid4()
    conversation_id = await begin_conversation(tenant, caller, "Tea")
    began = await exporting._begun(tenant)
    theirs = await exporting._begun(other_tenant)
    export = await export_tenant(tenant)
    await export_tenant(other_tenant)
    await delete_conversation(conversation_id, tenant, caller)
    with pytest.raises(DeletedMeanwhile):
        await exporting._keep(f"{tenant}/exports/{'a' * 64}", BytesIO(), tenant, began)
    await exporting._keep(f"{other_tenant}/exports/{'a' * 64}", BytesIO(), other_tenant, theirs)
    assert await remove_originals(tenant) == 1
    with pytest.raises(NotFound):
        await exporting.read_export(export.name, tenant)
    assert len(list(bucket().files(other_tenant, "exports"))) == 2
    assert (await export_tenant(tenant)).rows["conversation"] == 0


async def test_no_export_holds_a_deleted_document(store: Database, tenant: UUID) -> None:
    await learned(tenant, "minerals.txt")
    began = await exporting._begun(tenant)
    await export_tenant(tenant)
    assert (await forget("minerals.txt", tenant)).counts["exports"] == 1
    with pytest.raises(DeletedMeanwhile):
        await exporting._keep(f"{tenant}/exports/{'a' * 64}", BytesIO(), tenant, began)
    await remove_originals(tenant)
    assert not [path for path in bucket().folder.rglob("*") if path.is_file()]


async def test_an_answer_that_only_saw_the_document_stays_without_it(
    store: Database, tenant: UUID, database_url: str
) -> None:
    document_id = await learned(tenant, "minerals.txt")
    query_id = await answered(store, tenant, citing=False)
    (seen,) = await list_answers(document_id, tenant)
    assert (seen.query_id, seen.cited) == (query_id, False)
    certificate = await forget("minerals.txt", tenant)
    assert (certificate.counts["answers"], certificate.counts["passages"]) == (0, 1)
    assert mentions(database_url, SECRET) == []


async def test_every_answer_that_cited_a_document_is_recalled(store: Database, tenant: UUID) -> None:
    document_id = await learned(tenant, "minerals.txt")
    asked = {await answered(store, tenant), await answered(store, tenant)}
    recalled = await list_answers(document_id, tenant)
    assert {answer.query_id for answer in recalled} == asked
    assert all(answer.cited for answer in recalled)


async def test_another_document_of_the_same_content_keeps_its_original(store: Database, tenant: UUID) -> None:
    await learned(tenant, "minerals.txt")
    await learned(tenant, "copy.txt")
    assert (await forget("minerals.txt", tenant)).counts["originals"] == 0
    await remove_originals(tenant)
    assert (await forget("copy.txt", tenant)).counts["originals"] == 1
    assert await remove_originals(tenant) == 1


async def test_a_document_that_is_dead_waiting_or_only_asked_for_can_be_deleted(store: Database, tenant: UUID) -> None:
    await upload(tenant, "asked.txt")
    assert (await forget("asked.txt", tenant)).counts["requests"] == 1
    await accept(await upload(tenant, "waiting.txt"), tenant)
    assert (await forget("waiting.txt", tenant)).counts["items"] == 1
    ingestion_id = await upload(tenant, "dead.txt", b"")
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert len(await list_dead_letters(tenant)) == 1
    await forget("dead.txt", tenant)
    assert await list_dead_letters(tenant) == []
    with pytest.raises(NotFound):
        await forget("never.txt", tenant)


@pytest.mark.parametrize("after", ["received", "accepted", "claimed", "read", "embedded"])
async def test_an_ingestion_under_way_does_not_bring_a_deleted_document_back(
    store: Database, tenant: UUID, database_url: str, after: str
) -> None:
    ingestion_id = await upload(tenant, "minerals.txt")

    async def reached(stage: str) -> None:
        if stage == after:
            await forget("minerals.txt", tenant)

    await reached("received")
    await accept(ingestion_id, tenant)
    await reached("accepted")
    items = await claim(ingestion_id, tenant, 10)
    await reached("claimed")
    readings = await read(items, tenant)
    await reached("read")
    embedded = await embed_chunks(readings, tenant)
    await reached("embedded")
    await index(readings, embedded, tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert await list_documents(tenant) == []
    assert mentions(database_url, SECRET) == []


async def test_deleting_while_indexing_leaves_nothing_whoever_comes_first(
    store: Database, tenant: UUID, database_url: str
) -> None:
    for number in range(6):
        ingestion_id = await upload(tenant, f"{number}.txt")
        await accept(ingestion_id, tenant)
        readings = await read(await claim(ingestion_id, tenant, 10), tenant)
        embedded = await embed_chunks(readings, tenant)
        await asyncio.gather(index(readings, embedded, tenant), forget(f"{number}.txt", tenant))
    assert await list_documents(tenant) == []
    assert mentions(database_url, SECRET) == []


async def test_an_answer_written_meanwhile_is_refused_and_quotes_nothing(
    store: Database, tenant: UUID, database_url: str
) -> None:
    await learned(tenant, "minerals.txt")
    passages = await find_passages("blue mineral", tenant, k=1, filters={})
    query_id = await receive_query(Inquiry("Which mineral is blue?"), tenant)
    await forget("minerals.txt", tenant)
    draft = Draft(text=f"It is {SECRET}.", confidence=1.0, abstained=False, model="test")
    known = {"text": "q", "standalone": "q", "persona": "assistant", "filters": {}}
    with reading_back(back := ReadBack(READ)):
        await record_answer(Question(id=query_id, tenant_id=tenant, **known), draft, passages)
    assert back.row is None
    assert mentions(database_url, SECRET) == []
    async with store.transaction(tenant) as connection:
        row = (await connection.execute(text("select status, refusal from query"))).one()
    assert row.tuple() == ("refused", "source_deleted")


async def said(call_id: UUID, tenant: UUID) -> None:
    """Settle a call with a reply that quotes the mineral, for which a cent was paid."""
    who = {"call_id": call_id, "tenant_id": tenant, "target": "t", "model": "m", "fallback": False}
    paid = {"usage": Usage(), "cost": Decimal("0.01"), "charged": Decimal("0.01")}
    await settle(Settlement(**who, **paid, reply={"answer": f"It is {SECRET}."}))


async def asked(tenant: UUID, **within: UUID) -> tuple[UUID, UUID]:
    """Ask, and open a call to a model; return the ids of both."""
    query_id = await receive_query(Inquiry("Which one is blue?", **within), tenant)
    return query_id, (await open_call(query_id.hex, Purpose(tenant, query_id, None, "careful"))).call_id


@pytest.mark.parametrize("deleted", ["conversation", "document", "document before the call"])
async def test_a_reply_that_comes_after_a_deletion_is_paid_and_not_kept(
    store: Database, tenant: UUID, database_url: str, deleted: str
) -> None:
    await learned(tenant, "minerals.txt")
    caller = uuid4()
    conversation = await begin_conversation(tenant, caller)
    query_id, call_id = await asked(tenant, conversation_id=conversation, asked_by=caller)
    if deleted == "conversation":
        await delete_conversation(conversation, tenant, caller)
    await forget("minerals.txt", tenant)
    if deleted == "document before the call":
        call_id = (await open_call("another", Purpose(tenant, query_id, None, "careful"))).call_id
    await said(call_id, tenant)
    assert mentions(database_url, SECRET) == []
    async with store.transaction(tenant) as connection:
        call = (await connection.execute(select(ModelCall).where(ModelCall.id == call_id))).one()
        assert (call.state, call.cause, call.cost) == ("void", "deleted", Decimal("0.01"))
        assert await connection.scalar(text("select spent from spend")) == Decimal("0.01")


async def test_a_reply_is_kept_that_no_deletion_concerns(store: Database, tenant: UUID, database_url: str) -> None:
    await learned(tenant, "minerals.txt")
    await forget("minerals.txt", tenant)
    _, call_id = await asked(tenant)
    await said(call_id, tenant)
    assert mentions(database_url, SECRET) == ["model_call"]


async def test_a_reply_that_comes_during_a_deletion_waits_for_its_end(
    store: Database, tenant: UUID, database_url: str
) -> None:
    _, call_id = await asked(tenant)
    async with store.transaction(tenant) as connection:
        await connection.execute(text(HOLD))
        settling = asyncio.create_task(said(call_id, tenant))
        waits = text("select exists (select from pg_locks where locktype = 'advisory' and not granted)")
        while not settling.done() and not await connection.scalar(waits):
            await asyncio.sleep(0.01)
        await certify(connection, {"document_id": None, "requested_by": None, "name_hash": "", "counts": {}}, tenant)
    await settling
    assert mentions(database_url, SECRET) == []


@pytest.mark.parametrize("ending", ["failed", "stopped", "refused", "answered"])
async def test_what_was_said_for_a_question_goes_if_it_ends_without_an_answer_after_a_deletion(
    store: Database, tenant: UUID, database_url: str, ending: str
) -> None:
    await learned(tenant, "minerals.txt")
    caller = uuid4()
    conversation = await begin_conversation(tenant, caller)
    query_id, call_id = await asked(tenant, conversation_id=conversation, asked_by=caller)
    await said(call_id, tenant)
    await tell(query_id, tenant, ("answer.text", {"text": SECRET}))
    await forget("minerals.txt", tenant)
    if ending == "answered":
        await delete_conversation(conversation, tenant, caller)
        event = {"tenant_id": tenant, "subject": query_id, "kind": "answer.text", "payload": {"text": SECRET}}
        async with store.transaction(tenant) as connection:
            await connection.execute(insert(Event).values(event))
    known = {"text": "q", "standalone": "q", "persona": "assistant", "filters": {}}
    draft = Draft(text=f"It is {SECRET}.", confidence=1.0, abstained=False, model="test")
    ends = {
        "failed": lambda: record_failure(query_id, tenant, ValueError()),
        "stopped": lambda: close_stopped(query_id, tenant, "Stopped."),
        "refused": lambda: record_refusal(query_id, tenant, Verdict(allowed=False, code="no", sentence="No.")),
        "answered": lambda: record_answer(Question(id=query_id, tenant_id=tenant, **known), draft, ()),
    }
    await ends[ending]()
    assert mentions(database_url, SECRET) == []


@pytest.mark.parametrize("left", ["update query set status = 'failed'", "delete from query"])
async def test_reconciling_takes_away_what_a_process_that_died_left_of_a_deletion(
    store: Database, tenant: UUID, database_url: str, left: str
) -> None:
    await learned(tenant, "minerals.txt")
    for _ in range(2):
        _, call_id = await asked(tenant)
        await said(call_id, tenant)
    assert not any((await mend(tenant)).values())
    await forget("minerals.txt", tenant)
    async with store.transaction(tenant) as connection:
        await connection.execute(text(left))
    assert mentions(database_url, SECRET) == ["model_call"]
    assert sum((await mend(tenant)).values()) == 2
    assert mentions(database_url, SECRET) == []


async def test_nothing_is_told_of_a_question_that_was_deleted(store: Database, tenant: UUID, database_url: str) -> None:
    caller = uuid4()
    conversation = await begin_conversation(tenant, caller)
    query_id, _ = await asked(tenant, conversation_id=conversation, asked_by=caller)
    await delete_conversation(conversation, tenant, caller)
    await tell(query_id, tenant, ("answer.text", {"text": SECRET}))
    assert mentions(database_url, SECRET) == []


async def test_a_walk_does_not_bring_back_what_was_deleted_but_naming_it_does(
    store: Database, tenant: UUID, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "minerals.txt"
    path.write_bytes(CONTENT)

    async def ingested(uri: Path) -> list[str]:
        ingestion_id = await receive_ingestion([{"uri": str(uri)}], tenant)
        with traced():
            await ingest_stored.fn(ingestion_id, tenant)
        return [document.external_id for document in await list_documents(tenant)]

    assert await ingested(folder) == [str(path)]
    await forget(str(path), tenant)
    assert await ingested(folder) == []
    assert await ingested(path) == [str(path)]
    assert await ingested(folder) == [str(path)]


async def test_certificates_are_chained_and_cannot_be_changed(store: Database, tenant: UUID) -> None:
    for name in ("one.txt", "two.txt"):
        await learned(tenant, name)
        await forget(name, tenant)
    newest, oldest = await list_certificates(tenant, limit=10)
    assert (oldest.previous_hash, newest.previous_hash) == (None, oldest.hash)
    assert newest.name_hash == name_hash(tenant, "two.txt")
    facts = newest.model_dump(exclude={"previous_hash", "hash"})
    assert seal(facts | {"created_at": newest.created_at.astimezone(UTC)}, newest.previous_hash) == newest.hash
    for statement in ("update deletion_certificate set counts = '{}'", "delete from deletion_certificate"):
        with pytest.raises(ProgrammingError, match="permission denied"):
            async with store.transaction(tenant) as connection:
                await connection.execute(text(statement))


async def test_an_uploaded_archive_goes_once_its_documents_are_kept_and_deleting_each_leaves_no_file(
    store: Database, tenant: UUID
) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", CONTENT)
        archive.writestr("b.txt", b"Badgers dig.")
    ingestion_id = await upload(tenant, "all.zip", packed.getvalue())
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    assert len([path for path in bucket().folder.rglob("*") if path.is_file()]) == 2
    for name in ("a.txt", "b.txt"):
        await forget(f"all.zip!/{name}", tenant)
    await remove_originals(tenant)
    assert not [path for path in bucket().folder.rglob("*") if path.is_file()]


async def test_files_that_nothing_refers_to_are_swept_after_a_day(store: Database, tenant: UUID) -> None:
    await learned(tenant, "kept.txt")
    orphan, fresh = [await bucket().put(tenant, content) for content in (b"old", b"new")]
    for path in bucket().folder.rglob("*"):
        if path.is_file() and not str(path).endswith(fresh):
            os.utime(path, (0, 0))
    assert await sweep_bucket(tenant) == 1
    left = {str(path.relative_to(bucket().folder)) for path in bucket().folder.rglob("*") if path.is_file()}
    assert len(left) == 2
    assert orphan not in left
