import inspect
import os
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kowai.errors import (
    DocumentTooLarge,
    FetchRefused,
    SourceEmpty,
    SourceForbidden,
    SourceLoop,
    SourceMissing,
    UnknownFormat,
)
from kowai.sources import Walk, is_url, name_of, read_bytes

SUFFIXES = frozenset((".md", ".txt"))


def build(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def found(source: object, root: Path) -> list[str]:
    return [os.path.relpath(item.path, root) for item in Walk(str(source), SUFFIXES)]


def test_a_folder_gives_its_files_in_order_and_counts_what_it_skips(tmp_path: Path) -> None:
    build(tmp_path, "b.md", "a/z.TXT", "a/c/d.md", "a/image.png", "Makefile")
    build(tmp_path, ".git/config.md", ".hidden.md", "CVS/x.md")
    walk = Walk(str(tmp_path), SUFFIXES)
    assert [os.path.relpath(item.path, tmp_path) for item in walk] == ["a/c/d.md", "a/z.TXT", "b.md"]
    assert walk.skipped == 2
    assert all(os.path.isabs(item.path) for item in walk)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.md", ["a.md"]),
        ("**/*.md", ["a.md", "x/b.md", "x/y/c.md"]),
        ("x/**", ["x/b.md", "x/t1.txt", "x/y/c.md"]),
        ("**/y/*", ["x/y/c.md"]),
        ("x/t?.txt", ["x/t1.txt"]),
        ("x/t[0-3].txt", ["x/t1.txt"]),
        ("*/*", ["x/b.md", "x/t1.txt"]),
    ],
)
def test_a_glob_gives_the_files_it_matches(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    build(tmp_path, "a.md", "x/b.md", "x/t1.txt", "x/y/c.md", ".x/d.md")
    assert found(tmp_path / pattern, tmp_path) == expected


@pytest.mark.parametrize("pattern", ["x/t[!0-3].txt", "[z-a]*.md", "x", "*.png"])
def test_a_source_in_which_nothing_can_be_read_says_so(tmp_path: Path, pattern: str) -> None:
    build(tmp_path, "x/Makefile", "x/image.png", "a.png", "b.md")
    with pytest.raises(SourceEmpty, match="holds no document"):
        found(tmp_path / pattern, tmp_path)


@pytest.mark.parametrize("address", ["ftp://example.org/a.md", "S3://bucket/a.md"])
def test_an_address_of_another_scheme_is_no_file_that_is_missing(tmp_path: Path, address: str) -> None:
    with pytest.raises(FetchRefused, match="only http and https"):
        found(address, tmp_path)


def test_a_glob_of_many_stars_takes_no_exponential_time(tmp_path: Path) -> None:
    build(tmp_path, "a" * 200 + ".md")
    with pytest.raises(SourceEmpty):
        found(tmp_path / ("*a" * 60 + "b.md"), tmp_path)


def test_a_file_named_by_itself_is_an_item_whatever_its_suffix(tmp_path: Path) -> None:
    build(tmp_path, "data.xyz", "report [final].md")
    assert found(tmp_path / "data.xyz", tmp_path) == ["data.xyz"]
    assert found(tmp_path / "report [final].md", tmp_path) == ["report [final].md"]
    assert found((tmp_path / "report [final].md").as_uri(), tmp_path) == ["report [final].md"]


@pytest.mark.parametrize("source", ["missing", "missing/*.md", "a.md/below", "nul\0byte", "x" * 5000])
def test_a_source_that_does_not_exist_is_missing(tmp_path: Path, source: str) -> None:
    build(tmp_path, "a.md")
    with pytest.raises(SourceMissing, match="does not exist"):
        found(f"{tmp_path}/{source}", tmp_path)


def test_a_source_that_is_a_loop_says_so(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(SourceLoop, match="leads back to itself"):
        found(tmp_path / "a", tmp_path)


def test_links_inside_a_folder_are_neither_followed_out_nor_twice(tmp_path: Path) -> None:
    build(tmp_path, "in/a.md", "in/.stored/b.md", "out/secret.md")
    inside = tmp_path / "in"
    (inside / "loop").symlink_to(inside)
    (inside / "outside").symlink_to(tmp_path / "out")
    (inside / "leak.md").symlink_to(tmp_path / "out" / "secret.md")
    (inside / "again.md").symlink_to(inside / "a.md")
    (inside / "mounted.md").symlink_to(inside / ".stored" / "b.md")
    (inside / "broken.md").symlink_to(inside / "nowhere")
    (inside / "round.md").symlink_to(inside / "round.md")
    walk = Walk(str(inside), SUFFIXES)
    assert [os.path.relpath(item.path, inside) for item in walk] == ["a.md", "mounted.md"]
    assert walk.skipped == 6


def test_a_source_outside_the_allowed_folders_is_forbidden(tmp_path: Path) -> None:
    build(tmp_path, "in/a.md", "out/b.md")
    (tmp_path / "in" / "way").symlink_to(tmp_path / "out")
    assert len(list(Walk(str(tmp_path / "in"), SUFFIXES, [tmp_path / "in"]))) == 1
    for source in ("out", "out/b.md", "in/../out", "in/way/b.md", "o*/b.md"):
        with pytest.raises(SourceForbidden, match="outside"):
            list(Walk(f"{tmp_path}/{source}", SUFFIXES, [tmp_path / "in"]))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_an_item_of_its_own(tmp_path: Path) -> None:
    build(tmp_path, "a/x.md", "b/y.md")
    (tmp_path / "a").chmod(0)
    items = list(Walk(str(tmp_path), SUFFIXES))
    (tmp_path / "a").chmod(0o700)
    assert isinstance(items[0].error, SourceForbidden)
    assert [item.error is None for item in items] == [False, True]


def test_a_name_that_is_not_utf8_is_an_error_that_can_be_stored(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.md")).write_text("x")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    (item,) = Walk(str(tmp_path), SUFFIXES)
    assert item.path.encode().endswith("caf\ufffd.md".encode())
    assert isinstance(item.error, SourceForbidden)


def test_a_named_pipe_is_no_document(tmp_path: Path) -> None:
    build(tmp_path, "a.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert found(tmp_path, tmp_path) == ["a.md"]
    with pytest.raises(UnknownFormat):
        found(tmp_path / "pipe.md", tmp_path)
    with pytest.raises(UnknownFormat):
        read_bytes(str(tmp_path / "pipe.md"), 100)


def test_a_walk_begins_before_the_folder_is_listed_to_its_end(tmp_path: Path) -> None:
    build(tmp_path, "a/1.md", "b/2.md")
    walk = iter(Walk(str(tmp_path), SUFFIXES))
    assert next(walk).path.endswith("a/1.md")
    build(tmp_path, "b/3.md")
    assert [Path(item.path).name for item in walk] == ["2.md", "3.md"]


def test_folders_nested_deeper_than_python_recurses_are_walked(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    build(tmp_path, "d/" * 200 + "e.md")
    request.addfinalizer(partial(sys.setrecursionlimit, sys.getrecursionlimit()))
    sys.setrecursionlimit(len(inspect.stack(0)) + 60)
    assert found(tmp_path, tmp_path) == ["d/" * 200 + "e.md"]


def test_a_file_of_two_hundred_megabytes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "big.txt", "wb") as file:
        file.truncate(200_000_000)
    with pytest.raises(DocumentTooLarge, match="100 MB"):
        read_bytes(str(tmp_path / "big.txt"), 100_000_000)


def test_a_device_without_end_is_not_read() -> None:
    with pytest.raises(UnknownFormat):
        read_bytes("/dev/zero", 1000)


def test_reading_gives_the_bytes_or_says_what_is_wrong(tmp_path: Path) -> None:
    build(tmp_path, "a.md")
    assert read_bytes(str(tmp_path / "a.md"), 4) == b"a.md"
    with pytest.raises(SourceMissing):
        read_bytes(str(tmp_path / "b.md"), 4)
    with pytest.raises(UnknownFormat):
        read_bytes(str(tmp_path), 4)


def test_urls_and_paths_have_names() -> None:
    assert is_url("HTTPS://example.org/a")
    assert not is_url("/https://example.org")
    assert name_of("/a/b c.md") == "b c.md"
    assert name_of("https://example.org/a%20b.pdf?x=/y#z") == "a b.pdf"
    assert name_of("https://example.org/") == "example.org"


NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), min_size=1, max_size=8, unique=True
    )
)
def test_a_walk_finds_each_visible_file_once(tmp_path_factory: pytest.TempPathFactory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("walk")
    build(root, *(f"{name}.md" for name in names))
    assert sorted(found(root, root)) == sorted(f"{name}.md" for name in names)
