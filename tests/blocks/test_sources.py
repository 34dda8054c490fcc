"""Sites are walked as they allow it, once for what has not changed, and archives are read from anywhere."""

import io
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from prefect.filesystems import LocalFileSystem

from blocks import robots
from blocks.database import Database
from blocks.sources import Walk, kind_of, kinds
from kowai.errors import Corrupt, FetchRefused, RobotsRefused, SourceEmpty, SourceForbidden
from kowai.settings import settings
from tests.serving import handled

SUFFIXES = frozenset((".md", ".html", ".zip"))


class Site(BaseHTTPRequestHandler):
    """Serve what `pages` holds with an ETag, and count what is asked."""

    pages: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        body = self.pages.get(self.path)
        known = self.headers.get("If-None-Match") == '"1"'
        status = 404 if body is None else 304 if known else 200
        self.asked.append((self.path, status))
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.end_headers()
        if status == 200 and body is not None:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("KOWAI_ALLOW_PRIVATE_URLS", "true")
    settings.cache_clear()
    robots._known.clear()  # pyright: ignore[reportPrivateUsage]
    Site.pages, Site.asked = {}, []
    with handled(Site) as server:
        yield f"http://127.0.0.1:{server.server_port}"
    settings.cache_clear()


async def walked(uri: str, kind: str | None = None, **options: Any) -> list[Any]:
    walk = await kinds()[kind or kind_of(uri)].walk(Walk(uri, uuid4(), SUFFIXES, options))
    return list(walk.found)


async def test_what_robots_txt_forbids_is_not_fetched_unless_the_source_says_so(site: str) -> None:
    Site.pages = {"/robots.txt": b"User-agent: *\nDisallow: /private/\n", "/private/a.html": b"A", "/b.html": b"B"}
    read = kinds()["url"].read
    with pytest.raises(RobotsRefused):
        await read({"url": f"{site}/private/a.html"}, {})
    assert await read({"url": f"{site}/b.html"}, {})
    assert await read({"url": f"{site}/private/a.html", "ignore_robots": True}, {})
    assert [path for path, _ in Site.asked].count("/robots.txt") == 1


async def test_a_page_that_has_not_changed_is_not_sent_again(site: str) -> None:
    Site.pages = {"/a.html": b"A"}
    first = await kinds()["url"].read({"url": f"{site}/a.html"}, {})
    assert first
    assert first.validators == {"etag": '"1"'}
    assert await kinds()["url"].read({"url": f"{site}/a.html"}, first.validators) is None


async def test_a_sitemap_and_those_it_lists_offer_their_pages_of_this_site_alone(site: str) -> None:
    index = f"<sitemapindex><sitemap><loc>{site}/sitemap-1.xml</loc></sitemap></sitemapindex>"
    pages = f"<urlset><url><loc>{site}/a.html</loc></url><url><loc>http://elsewhere.example/b</loc></url></urlset>"
    Site.pages = {"/sitemap.xml": index.encode(), "/sitemap-1.xml": pages.encode()}
    found = await walked(f"{site}/sitemap.xml")
    assert [offer.uri for offer in found] == [f"{site}/a.html", "http://elsewhere.example/b"]
    assert found[0].error is None
    assert isinstance(found[1].error, FetchRefused)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<html></html>", Corrupt),
        (b"not XML", Corrupt),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><urlset>&a;</urlset>', Corrupt),
        (b"<urlset></urlset>", SourceEmpty),
    ],
)
async def test_what_is_no_sitemap_says_so(site: str, content: bytes, error: type[Exception]) -> None:
    Site.pages = {"/sitemap.xml": content}
    with pytest.raises(error):
        await walked(f"{site}/sitemap.xml")


async def test_a_repository_on_a_private_address_is_not_fetched(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOWAI_STATE", str(tmp_path))
    settings.cache_clear()
    with pytest.raises(FetchRefused):
        await walked("http://127.0.0.1:1/x.git")
    settings.cache_clear()


@pytest.mark.parametrize(
    ("uri", "kind"),
    [
        ("/data", "path"),
        ("https://a.example/b", "url"),
        ("https://a.example/sitemap.xml.gz", "sitemap"),
        ("https://a.example/b.git", "git"),
        ("git+https://a.example/b", "git"),
        ("block:local-file-system/reports/2024", "block"),
    ],
)
def test_a_uri_tells_its_kind(uri: str, kind: str) -> None:
    assert kind_of(uri) == kind


async def test_the_files_of_a_filesystem_block_are_offered_and_read_for_whom_its_name_begins_with(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, store: Database, tenant: UUID, other_tenant: UUID
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.md").write_text("A")
    (tmp_path / "in" / "b.exe").write_text("B")
    block = LocalFileSystem(basepath=str(tmp_path))

    async def loaded(_: str) -> LocalFileSystem:
        return block

    monkeypatch.setattr("blocks.sources.block._load", loaded)
    own = "block:local-file-system/default-reports/in"
    (offer,) = (await kinds()["block"].walk(Walk(own, tenant, SUFFIXES))).found
    assert offer.uri == f"{own}/a.md"
    content = await kinds()["block"].read(offer.details, {})
    assert content
    assert (content.data, content.name) == (b"A", "a.md")
    for uri in (own, "block:local-file-system/reports/in"):
        with pytest.raises(SourceForbidden):
            await kinds()["block"].walk(Walk(uri, other_tenant, SUFFIXES))
    with pytest.raises(SourceForbidden):
        await kinds()["block"].read({**offer.details, "tenant": str(other_tenant)}, {})


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"{name}.md", content)
    return packed.getvalue()


async def test_an_archive_on_the_web_is_unpacked(site: str, store: Any, tenant: UUID) -> None:
    from flows.ingest import ingest_stored
    from tasks.documents import list_documents
    from tasks.receive import receive_ingestion
    from tasks.step import traced

    archive_url = f"{site}/all.zip"
    Site.pages = {"/all.zip": zipped(a="Otters hold hands.", b="Badgers dig setts.")}
    ingestion_id = await receive_ingestion([{"uri": archive_url}], tenant)
    with traced():
        await ingest_stored.fn(ingestion_id, tenant)
    held = {document.external_id for document in await list_documents(tenant)}
    assert held == {f"{archive_url}!/a.md", f"{archive_url}!/b.md"}
