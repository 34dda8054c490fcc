"""The pages that a site lists in its sitemap (sitemaps.org protocol 0.9)."""

import gzip
import zlib
from collections.abc import AsyncIterator, Mapping
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from blocks import robots
from blocks.sources import Offer, SourceKind, Walk, Walked
from blocks.sources.url import WebOptions, limits, offer, read, site
from blocks.web import Fetched, fetch
from kowai.errors import Corrupt, DocumentTooLarge, FetchRefused, SourceEmpty
from kowai.sources import is_url

MAX_PAGES = 100_000
MAX_DEPTH = 3
MAX_BYTES = 52_428_800  # unpacked; the protocol's own limit


async def walk(source: Walk) -> Walked:
    """Offer every page listed; one on another site is not this site's to list."""
    home = site(source.uri)
    found: dict[str, Offer] = {}
    async for url in _pages(source.uri, source.options, 1):
        found[url] = offer(url, source)
        if site(url) != home:
            error = FetchRefused(f"{url} lies on another site than its sitemap: name it as a source of its own.")
            found[url] = found[url]._replace(error=error)
        if len(found) > MAX_PAGES:
            raise DocumentTooLarge(f"{source.uri} lists more than {MAX_PAGES:,} pages: name its parts one by one.")
    if not found:
        raise SourceEmpty(f"{source.uri} lists no page.")
    return Walked(iter(found.values()))


async def _pages(url: str, options: Mapping[str, Any], depth: int) -> AsyncIterator[str]:
    if depth > MAX_DEPTH:
        raise DocumentTooLarge(f"{url} lies in sitemaps nested more than {MAX_DEPTH} deep.")
    if not options.get("ignore_robots"):
        await robots.check(url, limits())
    fetched = await fetch(url, limits=limits()._replace(max_bytes=MAX_BYTES))
    assert isinstance(fetched, Fetched)  # nothing conditional was asked
    kind, urls = _listed(fetched.data, url)
    for listed in urls:
        if kind == "sitemapindex":
            async for page in _pages(listed, options, depth + 1):
                yield page
        else:
            yield listed


def _listed(data: bytes, url: str) -> tuple[str, list[str]]:
    """Return whether a file lists pages (`urlset`) or sitemaps (`sitemapindex`), and their URLs."""
    try:
        root = fromstring(_unpacked(data, url), forbid_dtd=True)
    except (ParseError, DefusedXmlException, OSError, EOFError, zlib.error, ValueError) as error:
        raise Corrupt(f"{url} is not a sitemap: it is no sound XML.", operator=repr(error)[:500]) from error
    kind = root.tag.rpartition("}")[2]
    if kind not in ("urlset", "sitemapindex"):
        raise Corrupt(f"{url} is not a sitemap: its XML is <{kind}>.")
    places = (place.text or "" for entry in root for place in entry if place.tag.rpartition("}")[2] == "loc")
    return kind, [place.strip() for place in places if is_url(place.strip())]


def _unpacked(data: bytes, url: str) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    with gzip.open(BytesIO(data)) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise DocumentTooLarge.beyond(url, MAX_BYTES)
    return content


def _claim(uri: str) -> int:
    name = urlsplit(uri).path.lower().rpartition("/")[2] if is_url(uri) else ""
    return 3 if "sitemap" in name and name.endswith((".xml", ".xml.gz")) else 0


kind = SourceKind("The pages a site lists in its sitemap.", "sitemap", _claim, walk, read, WebOptions)
