"""A bucket of Appwrite is a source of the tenant that the operator names, and of nobody else."""

import time
from collections.abc import Iterator
from uuid import UUID

import pytest

from blocks import connections
from blocks.appwrite import Appwrite
from blocks.appwrite_files import Place, send
from blocks.database import Database
from blocks.sources import Walk, appwrite, kind_of
from kowai.errors import FetchFailed, SourceEmpty, SourceForbidden, SourceMissing
from tests.appwrite_server import AppwriteServer, serving

SUFFIXES = frozenset({".md", ".json"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[AppwriteServer]:
    with serving() as server:
        for name in ("reports", "empty", "originals"):
            server.add_bucket(name)
        block = server.block(sources={"reports": "default", "empty": "default"})
        monkeypatch.setitem(connections._known, Appwrite, connections.Known(block, time.monotonic() + 3600))
        for name, content in (("a.md", b"# Tea"), ("b.json", b'{"tea":  1}'), ("c.exe", b"no")):
            block.do(lambda client, name=name, content=content: send(client, Place("reports", name[0]), name, content))
        yield server


async def test_its_files_are_offered_and_read_until_they_change(
    store: Database, tenant: UUID, server: AppwriteServer
) -> None:
    assert kind_of("appwrite:reports") == "appwrite"
    offers = list((await appwrite.walk(Walk("appwrite:reports", tenant, SUFFIXES))).found)
    assert [(offer.uri, offer.name) for offer in offers] == [
        ("appwrite:reports/a", "a.md"),
        ("appwrite:reports/b", "b.json"),
    ]
    content = await appwrite.read(offers[1].details, {})
    assert content is not None
    assert content.data == b'{"tea":  1}'
    assert await appwrite.read(offers[1].details, content.validators) is None
    del server.files["reports/b"]
    with pytest.raises(SourceMissing):
        await appwrite.read(offers[1].details, {})


@pytest.mark.usefixtures("server")
async def test_no_tenant_reads_a_bucket_that_is_not_named_as_its_own(
    store: Database, tenant: UUID, other_tenant: UUID
) -> None:
    own = next(iter((await appwrite.walk(Walk("appwrite:reports", tenant, SUFFIXES))).found))
    for uri, who in (("reports", other_tenant), ("originals", tenant), ("reports/../originals", tenant)):
        with pytest.raises(SourceForbidden):
            await appwrite.walk(Walk(f"appwrite:{uri}", who, SUFFIXES))
    with pytest.raises(SourceForbidden):
        await appwrite.read(own.details | {"tenant": str(other_tenant)}, {})


async def test_an_empty_bucket_and_a_server_out_of_reach_are_told_apart(
    store: Database, tenant: UUID, server: AppwriteServer
) -> None:
    with pytest.raises(SourceEmpty):
        await appwrite.walk(Walk("appwrite:empty", tenant, SUFFIXES))
    server.status = 503
    with pytest.raises(FetchFailed):
        await appwrite.walk(Walk("appwrite:reports", tenant, SUFFIXES))
