"""What does not fit on the disk is refused whole."""

import os
import resource
from pathlib import Path
from uuid import uuid4

import pytest

from blocks.bucket import Bucket
from kowai.errors import Unavailable
from kowai.storable import StorageFull

LARGEST = 1_000_000


@pytest.fixture
def small_files() -> object:
    """Let this process write no file larger than LARGEST, as a disk without room does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
async def test_an_original_that_does_not_fit_leaves_nothing_behind_and_the_next_is_kept(tmp_path: Path) -> None:
    bucket, tenant = Bucket(folder=tmp_path), uuid4()
    with pytest.raises(StorageFull):
        await bucket.put(tenant, os.urandom(LARGEST + 1))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    path = await bucket.put(tenant, b"small")
    assert await bucket.read_path(path) == b"small"


async def test_files_of_a_tenant_that_cannot_be_removed_are_not_said_to_be_gone(tmp_path: Path) -> None:
    bucket, tenant = Bucket(folder=tmp_path), uuid4()
    (tmp_path / str(tenant)).write_text("not a folder")
    with pytest.raises(Unavailable):
        await bucket.erase(tenant)
    await bucket.erase(uuid4())
