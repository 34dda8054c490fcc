import asyncio
import io
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas

from blocks.reading import Reader
from kowai.errors import Corrupt, DocumentError, DocumentTooLarge, FormatMismatch, ReaderCrashed, ReaderTimeout
from kowai.loaders import Limits, suffixes

SHARED = Path(os.environ.get("KOWAI_DATA", Path(__file__).parents[2] / "../shared/data")) / "documents"
SLOW = b"<table><tr><td>" * 60_000


def pdf(*pages: str) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file)
    for page in pages:
        canvas.drawString(72, 700, page)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


@pytest.fixture
def reader() -> Iterator[Reader]:
    reader = Reader(children=1)
    yield reader
    reader.close()


def child_of(reader: Reader) -> int:
    (child,) = reader._children  # pyright: ignore[reportPrivateUsage]
    return child._process.pid  # pyright: ignore[reportPrivateUsage]


async def test_a_document_of_each_format_is_read(reader: Reader) -> None:
    pages = await reader.read(pdf("One.", "Two."), "a.pdf")
    assert [pages.text[page.start : page.end] for page in pages.pages] == ["One.", "Two."]
    assert (await reader.read(b"<title>T</title><p>Hi", "a.html")).title == "T"
    assert (await reader.read(b"# T", "a.md")).headings[0].title == "T"
    assert (await reader.read("жук".encode("koi8-r"), "a", media_type="text/plain", charset="koi8-r")).text == "жук"


async def test_one_child_reads_many_documents(reader: Reader) -> None:
    await reader.read(pdf("One."), "a.pdf")
    first = child_of(reader)
    await reader.read(pdf("Two."), "b.pdf")
    assert child_of(reader) == first


async def test_plain_text_needs_no_child(reader: Reader) -> None:
    await reader.read(b"hello", "a.txt")
    assert not reader._children  # pyright: ignore[reportPrivateUsage]


async def test_a_child_is_replaced_after_its_share_of_documents() -> None:
    reader = Reader(children=1, documents_per_child=2)
    children: list[int] = []
    for _ in range(5):
        await reader.read(pdf("Text."), "a.pdf")
        children.append(child_of(reader))
    reader.close()
    assert list(Counter(children).values()) == [2, 2, 1]


async def test_errors_arrive_with_their_kind_and_sentence(reader: Reader) -> None:
    with pytest.raises(Corrupt, match=r"b\.pdf is damaged") as corrupt:
        await reader.read(b"%PDF-1.7 garbage", "b.pdf")
    assert corrupt.value.operator
    with pytest.raises(FormatMismatch):
        await reader.read(b"PK\x03\x04", "c.md")


async def test_more_bytes_or_pages_than_allowed_are_refused() -> None:
    reader = Reader(Limits(max_bytes=5_000, max_pages=2), children=1)
    with pytest.raises(DocumentTooLarge, match="larger"):
        await reader.read(b"x" * 5_001, "a.txt")
    with pytest.raises(DocumentTooLarge, match="3 pages"):
        await reader.read(pdf("a", "b", "c"), "a.pdf")
    reader.close()


async def test_a_child_killed_between_documents_goes_unnoticed(reader: Reader) -> None:
    await reader.read(pdf("One."), "a.pdf")
    os.kill(child_of(reader), signal.SIGKILL)
    assert (await reader.read(pdf("Two."), "a.pdf")).text == "Two."


async def test_a_document_that_kills_its_reader_fails_alone(reader: Reader) -> None:
    reading = asyncio.create_task(reader.read(SLOW, "bomb.html"))
    others = [asyncio.create_task(reader.read(pdf(f"Page {n}"), "a.pdf")) for n in range(3)]
    while not reader._children:  # pyright: ignore[reportPrivateUsage]
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)
    os.kill(child_of(reader), signal.SIGSEGV)
    with pytest.raises(ReaderCrashed, match=r"bomb\.html makes its reader crash") as crashed:
        await reading
    assert crashed.value.code == "reader_crashed"
    assert [document.text for document in await asyncio.gather(*others)] == ["Page 0", "Page 1", "Page 2"]


async def test_a_document_whose_used_reader_dies_gets_a_second_one(reader: Reader) -> None:
    await reader.read(pdf("One."), "a.pdf")
    first = child_of(reader)
    reading = asyncio.create_task(reader.read(b"<div>" * 800_000 + b"deep", "a.html"))
    await asyncio.sleep(0.2)
    os.kill(first, signal.SIGSEGV)
    assert (await reading).text == "deep"
    assert child_of(reader) != first


async def test_a_document_that_takes_too_long_is_given_up_and_the_next_is_read() -> None:
    reader = Reader(children=1, seconds=0.5)
    with pytest.raises(ReaderTimeout, match=r"within 0\.5 seconds"):
        await reader.read(SLOW, "slow.html")
    reader._seconds = 60.0  # pyright: ignore[reportPrivateUsage]
    assert (await reader.read(pdf("Text."), "a.pdf")).text == "Text."
    reader.close()


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="address space is bounded on Linux only")
async def test_a_document_that_needs_too_much_memory_is_refused_and_the_next_is_read() -> None:
    reader = Reader(children=1, memory_bytes=300 << 20)
    with pytest.raises((DocumentTooLarge, Corrupt), match=r"memory|crash"):
        await reader.read(b"<p>" + b"word " * 12_000_000, "big.html")
    assert (await reader.read(pdf("Text."), "a.pdf")).text == "Text."
    reader.close()


async def test_children_see_no_secrets(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_DATABASE_URL", "secret")
    await reader.read(pdf("Text."), "a.pdf")
    environment = Path(f"/proc/{child_of(reader)}/environ")
    if not environment.exists():
        pytest.skip("this system does not show a process's environment")
    assert b"secret" not in environment.read_bytes()


def test_a_reader_serves_one_event_loop_after_another() -> None:
    reader = Reader(children=1)
    for _ in range(2):
        assert asyncio.run(reader.read(pdf("Text."), "a.pdf")).text == "Text."
    reader.close()


async def outcome(reader: Reader, path: Path) -> str:
    try:
        return (await reader.read(path.read_bytes(), path.name)).media_type
    except DocumentError as error:
        return error.code if path.name in error.sentence else error.sentence


@pytest.mark.skipif(not SHARED.exists(), reason="the shared documents are not here: set KOWAI_DATA to their folder")
async def test_every_shared_document_is_read_or_refused_for_a_reason() -> None:
    reader = Reader()
    paths = [
        path for path in sorted(SHARED.rglob("*")) if path.suffix in suffixes() and "groundtruth" not in path.parts
    ]
    outcomes = await asyncio.gather(*(outcome(reader, path) for path in paths))
    reader.close()
    refused = [result for result in outcomes if "/" not in result]
    assert set(refused) <= {"encrypted", "needs_ocr", "corrupt"}
    assert len(refused) <= 0.08 * len(outcomes)
