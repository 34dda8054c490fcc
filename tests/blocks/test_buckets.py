"""Buckets are one port with two places behind it: a local folder, and a bucket of Appwrite."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect.results import ResultStore

from blocks.appwrite_bucket import AppwriteBucket
from blocks.appwrite_calls import AppwriteUnavailable
from blocks.bucket import Bucket
from kowai.errors import SourceMissing
from tests.appwrite_server import AppwriteServer, serving

TENANT, OTHER = uuid4(), uuid4()
MIB = 1024 * 1024


@pytest.fixture
def appwrite() -> Iterator[AppwriteServer]:
    with serving() as server:
        server.add_bucket("originals")
        yield server


@pytest.fixture
def remote(appwrite: AppwriteServer) -> AppwriteBucket:
    return AppwriteBucket(project=appwrite.block(), bucket="originals")


@pytest.fixture(params=["folder", "appwrite"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return Bucket(folder=tmp_path) if request.param == "folder" else request.getfixturevalue("remote")


@pytest.mark.parametrize("content", [b"", b"an original", b'{"json":  1}', bytes(range(256))])
async def test_what_is_put_comes_back_byte_for_byte(bucket: Any, content: bytes) -> None:
    path = await bucket.put(TENANT, content)
    assert path == await bucket.put(TENANT, content) == bucket.keep(TENANT, content)
    assert await bucket.read_path(path) == content
    with bucket.open(path) as file:
        assert file.read() == content


async def test_a_tenants_files_are_listed_and_erased_without_another_tenants(bucket: Any) -> None:
    paths = {await bucket.put(TENANT, bytes([number])) for number in range(120)}
    foreign = await bucket.put(OTHER, b"theirs")
    assert set(bucket.files(TENANT)) == paths
    await bucket.erase(TENANT)
    assert list(bucket.files(TENANT)) == []
    assert list(bucket.files(OTHER)) == [foreign]


async def test_a_file_that_was_put_again_since_is_not_removed(bucket: Any) -> None:
    path = await bucket.put(TENANT, b"old")
    before, after = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    assert not await bucket.remove(path, last_put=before)
    assert await bucket.remove(path, last_put=after)
    assert not await bucket.remove(path, last_put=after)
    with pytest.raises(SourceMissing):
        await bucket.read_path(path)
    with pytest.raises(SourceMissing):
        bucket.open(path)


async def test_flows_keep_results_in_it_and_write_over_them(bucket: Any) -> None:
    bucket._block_document_id = uuid4()  # results are kept by blocks that are saved
    store = ResultStore(result_storage=bucket, cache_result_in_memory=False)
    for result in ("first", "second"):
        await store.apersist_result_record(store.create_result_record(result, key="a/key"))
        assert (await store.aread("a/key")).result == result
    await bucket.write_path("plain", b"1")
    assert list(bucket.files(TENANT)) == []


async def test_a_large_file_goes_in_parts_and_is_whole(remote: AppwriteBucket, appwrite: AppwriteServer) -> None:
    content = bytes(range(256)) * (12 * MIB // 256) + b"end"
    path = await remote.put(TENANT, content)
    size, part = len(content), 5 * MIB
    wanted = {f"bytes {at}-{min(at + part, size) - 1}/{size}" for at in range(0, size, part)}
    assert set(appwrite.ranges) == wanted
    assert await remote.read_path(path) == content


class Watched(BytesIO):
    """Note how much of a file is read at once."""

    most = 0

    def read(self, size: int | None = -1) -> bytes:
        got = super().read(size)
        self.most = max(self.most, len(got))
        return got


async def test_an_open_file_is_sent_a_part_at_a_time_from_where_it_stands(
    remote: AppwriteBucket, appwrite: AppwriteServer
) -> None:
    content = Watched(b"before" + bytes(range(256)) * (12 * MIB // 256))
    content.seek(6)
    await remote.copy_to(f"{TENANT}/exports/x", content)
    assert (content.most, len(appwrite.ranges)) == (5 * MIB, 3)
    assert await remote.read_path(f"{TENANT}/exports/x") == content.getvalue()[6:]


@pytest.mark.parametrize("more", [0, 1, 2])
async def test_a_large_file_is_fetched_as_far_as_it_is_read(
    remote: AppwriteBucket, appwrite: AppwriteServer, more: int
) -> None:
    content = bytes(range(256)) * (10 * MIB // 256) + bytes(more)
    path = await remote.put(TENANT, content)
    appwrite.ranges.clear()
    with remote.open(path) as file:
        assert file.read(3) == content[:3]
        assert appwrite.ranges == [f"bytes=0-{5 * MIB - 1}"]
        copy = BytesIO(content[:3])
        copy.seek(3)
        shutil.copyfileobj(file, copy, MIB)
        assert copy.getvalue() == content
        assert (file.seek(-1, 2), file.read()) == (len(content) - 1, content[-1:])


async def test_a_file_given_up_half_way_is_sent_from_its_beginning_and_one_under_way_is_left_alone(
    remote: AppwriteBucket, appwrite: AppwriteServer
) -> None:
    content = bytes(11 * MIB)
    path = await remote.put(TENANT, content)
    file = next(iter(appwrite.files.values()))
    del file["parts"][0]
    file["chunksUploaded"] = 2
    with pytest.raises(AppwriteUnavailable):
        await remote.put(TENANT, content)
    file["$updatedAt"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    assert await remote.put(TENANT, content) == path
    assert await remote.read_path(path) == content


async def test_a_bucket_out_of_reach_is_said_so_and_may_be_tried_again(
    remote: AppwriteBucket, appwrite: AppwriteServer
) -> None:
    appwrite.status = 503
    for failing in (remote.put(TENANT, b"x"), remote.read_path("a"), remote.erase(UUID(int=1))):
        with pytest.raises(AppwriteUnavailable) as error:
            await failing
        assert error.value.retryable


@pytest.fixture(autouse=True)
def _closed_circuits() -> None:
    from blocks.appwrite_calls import DATA

    DATA._circuits.clear()
