"""Sources lie where they may, and never in KowAI's own state."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from blocks import git
from blocks.places import check_place
from blocks.sources import Walk, kinds
from kowai.errors import SourceForbidden
from kowai.settings import settings


@pytest.fixture(autouse=True)
def shared_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shared = tmp_path / "shared"
    (shared / "state").mkdir(parents=True)
    monkeypatch.setenv("KOWAI_STATE", str(shared / "state"))
    monkeypatch.setenv("KOWAI_SOURCE_FOLDERS", str(shared))
    settings.cache_clear()
    yield shared
    settings.cache_clear()


def test_a_source_in_an_allowed_folder_may_be_read(shared_folder: Path) -> None:
    check_place(shared_folder / "handbook" / "page.md")


@pytest.mark.parametrize("path", ["/etc/passwd", "~/notes.md", "../outside.md"])
def test_a_source_elsewhere_is_forbidden(path: str) -> None:
    with pytest.raises(SourceForbidden, match="KOWAI_SOURCE_FOLDERS"):
        check_place(Path(path))


def test_the_state_directory_is_forbidden_although_it_lies_in_an_allowed_folder(shared_folder: Path) -> None:
    with pytest.raises(SourceForbidden, match="state directory"):
        check_place(shared_folder / "state" / "secrets" / "api-key")


def test_a_link_does_not_lead_out_of_the_allowed_folders(shared_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (shared_folder / "link.md").symlink_to(tmp_path / "secret.md")
    with pytest.raises(SourceForbidden):
        check_place(shared_folder / "link.md")


async def test_a_walk_offers_what_is_forbidden_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Page")
    walk = await kinds()["path"].walk(Walk(str(tmp_path / "page.md"), uuid4(), frozenset((".md",)), {}))
    (offer,) = walk.found
    assert isinstance(offer.error, SourceForbidden)


@pytest.mark.parametrize("inside", ["handbook", "linked"])
async def test_a_repository_that_lies_outside_of_the_allowed_folders_is_forbidden(
    shared_folder: Path, tmp_path: Path, inside: str
) -> None:
    (shared_folder / "handbook").mkdir()
    (shared_folder / "linked").mkdir()
    git.run(tmp_path, "init", "--quiet")  # the repository that the first folder is a part of
    (shared_folder / "linked" / ".git").write_text(f"gitdir: {tmp_path / '.git'}")
    with pytest.raises(SourceForbidden, match="KOWAI_SOURCE_FOLDERS"):
        await kinds()["git"].walk(Walk(f"git+file://{shared_folder / inside}", uuid4(), frozenset((".md",)), {}))
