"""One document on the web."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import Field

from blocks import robots
from blocks.sources import Content, Offer, Options, SourceKind, Walk, Walked
from blocks.web import FetchLimits, NotModified, fetch
from kowai.settings import settings
from kowai.sources import is_url, name_of


class WebOptions(Options):
    ignore_robots: bool = Field(False, description="Fetch what robots.txt forbids: for your own sites.")


async def walk(source: Walk) -> Walked:
    return Walked(iter((offer(source.uri, source),)))


def offer(url: str, source: Walk) -> Offer:
    details = {"url": url} | ({"ignore_robots": True} if source.options.get("ignore_robots") else {})
    return Offer(url, details, name_of(url))


async def read(details: dict[str, Any], known: Mapping[str, Any]) -> Content | None:
    """Fetch a document unless the server says that it is still the one with the known etag or date."""
    url = details["url"]
    if not details.get("ignore_robots"):
        await robots.check(url, limits())
    etag, last_modified = known.get("etag"), known.get("last_modified")
    fetched = await fetch(url, limits=limits(), etag=etag, last_modified=last_modified)
    if isinstance(fetched, NotModified):
        return None
    validators = {"etag": fetched.etag, "last_modified": fetched.last_modified}
    told = {name: value for name, value in validators.items() if value}
    return Content(fetched.data, name_of(fetched.final_url), fetched.media_type, fetched.charset, told)


def limits() -> FetchLimits:
    return FetchLimits(max_bytes=settings().max_document_bytes, allow_private=settings().allow_private_urls)


def site(url: str) -> str:
    """Return scheme and host of a URL, as two URLs of one site have them."""
    parts = urlsplit(url.lower())
    return f"{parts.scheme}://{parts.netloc}"


kind = SourceKind("A document on the web.", "url", lambda uri: 2 if is_url(uri) else 0, walk, read, WebOptions)
