"""What a document is, is known when it is searched: its kind, its language and where it lay."""

import io
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from blocks.connections import bucket
from blocks.database import Database
from deployments.shim.ledgers import Ledger, read_ledger
from flows.ingest import ingest_stored
from tasks.receive import receive_ingestion
from tasks.retrieve import find_passages
from tasks.step import traced


async def ingested(tenant: UUID, uri: str | Path, **handling: Any) -> Ledger:
    ingestion_id = await receive_ingestion([{"uri": str(uri)} | handling], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    return await read_ledger(ingestion_id, tenant)


async def found(text: str, tenant: UUID, **filters: Any) -> set[str]:
    passages = await find_passages(text, tenant, k=20, filters=filters)
    return {Path(passage.external_id).name for passage in passages}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "documents"
    place.mkdir()
    return place


async def test_content_type_and_language_are_detected_and_filterable(
    store: Database, tenant: UUID, folder: Path
) -> None:
    (folder / "chat.txt").write_text("Ann: Where is my parcel?\nBob: On its way.\nAnn: Since when?\nBob: Monday.")
    (folder / "de.txt").write_text("Das Paket ist seit Montag unterwegs und kommt morgen an.")
    await ingested(tenant, folder)
    assert await found("parcel", tenant) == {"chat.txt", "de.txt"}
    assert await found("parcel", tenant, content_type="conversation") == {"chat.txt"}
    assert await found("parcel", tenant, languages=["de", "fr"]) == {"de.txt"}


async def test_a_source_may_say_how_its_documents_are_handled(store: Database, tenant: UUID, folder: Path) -> None:
    (folder / "long.txt").write_text(" ".join(f"Parcel {number} is on its way." for number in range(40)))
    await ingested(tenant, folder, content_type="business", language="fr", chunk_size=200, chunk_overlap=0)
    passages = await find_passages("parcel", tenant, k=20, filters={"content_type": "business", "language": "fr"})
    assert len(passages) > 4
    assert max(len(passage.text) for passage in passages) <= 200


async def test_a_record_may_say_what_it_is(store: Database, tenant: UUID, folder: Path) -> None:
    (folder / "a.jsonl").write_text('{"_id": "a", "text": "A parcel.", "metadata": {"content_type": "data"}}')
    await ingested(tenant, folder, content_type="business")
    assert await found("parcel", tenant, content_type="data") == {"a"}


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)
    return file.getvalue()


async def test_each_file_in_an_archive_is_a_document_of_its_own(store: Database, tenant: UUID, folder: Path) -> None:
    records = b'{"_id": "r1", "text": "Badgers dig."}\n{"_id": "r2"}\n'
    members = {"notes__otter.md": b"Otters swim.", "broken.pdf": b"%PDF-1.7 no", "all.jsonl": records}
    inner = zipped(**{"beaver.txt": b"Beavers build."})
    (folder / "papers.zip").write_bytes(zipped(**members, **{"inner.zip": inner, "image.png": b"", ".hidden.md": b"x"}))
    ledger = await ingested(tenant, folder)
    place = str(folder / "papers.zip")
    assert {item.uri.removeprefix(place): item.cause for item in ledger.items} == {
        "!/notes/otter.md": None,
        "!/broken.pdf": "corrupt",
        "r1": None,
        "!/all.jsonl#2": "bad_record",
        "!/inner.zip!/beaver.txt": None,
    }
    assert await found("otter", tenant, external_id=f"{place}!/notes/otter.md") == {"otter.md"}
    again = await ingested(tenant, folder)
    assert (again.unchanged, again.dead) == (3, 2)


async def test_an_uploaded_archive_is_unpacked_and_a_bad_one_says_why(store: Database, tenant: UUID) -> None:
    for data, causes in ((zipped(**{"a.md": b"Otters swim."}), [None]), (b"PK\x03\x04 no", ["corrupt"])):
        original = await bucket().put(tenant, data)
        ledger = await ingested(tenant, "up.zip", name="up.zip", external_id="up.zip", original=original)
        assert [item.cause for item in ledger.items] == causes
    assert await found("otter", tenant, external_id="up.zip!/a.md") == {"a.md"}


async def test_every_record_of_an_uploaded_file_of_records_is_read(store: Database, tenant: UUID) -> None:
    original = await bucket().put(tenant, b'{"_id": "a", "text": "Otters."}\n{"_id": "b", "text": "Beavers."}')
    ledger = await ingested(tenant, "up.jsonl", name="up.jsonl", external_id="up.jsonl", original=original)
    assert (ledger.accepted, ledger.indexed) == (2, 2)
