"""Every file in an archive is found, within limits, and what is wrong costs no other file."""

import bz2
import gzip
import io
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kowai.archives import Bounds, Member, members

SUFFIXES = {".txt"}


def zipped(*files: tuple[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def tarred(*files: tuple[str, bytes], mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:  # pyright: ignore[reportArgumentType]
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def unpacked(data: bytes, name: str = "a.zip", **bounds: int) -> list[Member]:
    return list(members(io.BytesIO(data), name, SUFFIXES, Bounds(**bounds)))


def codes(found: list[Member]) -> list[tuple[str, str | None]]:
    return [(member.path, member.error.code if member.error else None) for member in found]


FILES = (("a.txt", b"one"), ("b/c.txt", b"two"), ("x.png", b""), (".git/d.txt", b""), ("__MACOSX/a.txt", b""))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (zipped(*FILES), "a.zip"),
        (tarred(*FILES), "a.tar.gz"),
        (tarred(*FILES, mode="w:xz"), "a.txz"),
        (tarred(*FILES, mode="w"), "a.tar"),
    ],
)
def test_files_that_are_read_are_found_and_others_passed_over(data: bytes, name: str) -> None:
    assert unpacked(data, name) == [Member("a.txt", b"one"), Member("b/c.txt", b"two")]


def test_one_squeezed_file_is_a_member_under_its_own_name() -> None:
    assert unpacked(gzip.compress(b"log"), "a.txt.gz") == [Member("a.txt", b"log")]
    assert unpacked(bz2.compress(b"log"), "dir/a.txt.bz2") == [Member("a.txt", b"log")]


def test_archives_in_archives_are_opened_to_a_depth() -> None:
    data = zipped(("a.txt", b"x"))
    for _ in range(4):
        data = zipped(("in.zip", data))
    assert codes(unpacked(data)) == [("in.zip!/in.zip!/in.zip", "bomb")]
    assert codes(unpacked(data, max_depth=9)) == [("in.zip!/in.zip!/in.zip!/in.zip!/a.txt", None)]


def test_a_damaged_inner_archive_costs_no_neighbour() -> None:
    assert codes(unpacked(zipped(("a.zip", b"PK\x03\x04"), ("b.txt", b"x")))) == [("a.zip", "corrupt"), ("b.txt", None)]


def test_no_name_leads_out_of_the_archive_and_none_is_lost_to_another() -> None:
    data = zipped(("../../etc/a.txt", b"1"), ("/etc/a.txt", b"2"), ("c\\d.txt", b"3"))
    assert codes(unpacked(data)) == [("etc/a.txt", None), ("etc/a.txt#2", "duplicate_id"), ("c/d.txt", None)]


def test_bombs_and_sizes_end_the_archive_with_a_reason() -> None:
    bomb = zipped(("a.txt", b"x"), ("b.txt", bytes(60_000_000)))
    assert codes(unpacked(bomb)) == [("a.txt", None), ("", "bomb")]
    assert codes(unpacked(tarred(("b.txt", bytes(60_000_000))), "a.tgz")) == [("", "bomb")]
    assert codes(unpacked(zipped(*FILES), max_members=1)) == [("a.txt", None), ("", "document_too_large")]
    assert codes(unpacked(zipped(*FILES), max_member_bytes=2)) == [
        ("a.txt", "document_too_large"),
        ("b/c.txt", "document_too_large"),
    ]
    assert codes(unpacked(zipped(*FILES), max_bytes=4)) == [("a.txt", None), ("", "document_too_large")]


def test_an_archive_without_a_file_that_is_read_says_so() -> None:
    assert codes(unpacked(zipped(("x.png", b"")))) == [("", "empty")]


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz", "a.txt.gz", "a.txt.bz2", "a.txt.xz"])
@given(data=st.binary(max_size=300))
def test_any_bytes_give_members_or_reasons(name: str, data: bytes) -> None:
    found = unpacked(data, name)
    assert found
    assert all(member.path or member.error for member in found)


@given(place=st.integers(0, 5_000), byte=st.integers(0, 255), packed=st.sampled_from([zipped, tarred]))
def test_an_archive_with_one_wrong_byte_gives_members_or_reasons(place: int, byte: int, packed: object) -> None:
    data = bytearray(zipped(*FILES) if packed is zipped else tarred(*FILES))
    data[place % len(data)] = byte
    assert unpacked(bytes(data), "a.zip" if packed is zipped else "a.tgz")
