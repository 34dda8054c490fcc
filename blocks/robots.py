"""What a site allows robots to fetch (RFC 9309)."""

import time
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

from blocks.web import AGENT, Fetched, FetchLimits, fetch
from kowai.errors import DocumentTooLarge, FetchRejected, RobotsRefused

FRESH_SECONDS = 3600.0
MAX_BYTES = 512_000  # RFC 9309 asks for 500 KiB at least
SITES = 1000


class Rules(NamedTuple):
    parser: RobotFileParser
    read_at: float


_known: dict[str, Rules] = {}


async def check(url: str, limits: FetchLimits) -> None:
    """Let a URL pass that its site's robots.txt allows; a site without one allows all.

    Raises RobotsRefused, and FetchFailed while the site cannot say what it allows.
    """
    rules = await _rules(url, limits)
    if not rules.parser.can_fetch(AGENT, url):
        raise RobotsRefused(f"{url.partition('?')[0][:200]} may not be fetched: the site's robots.txt forbids it.")


async def _rules(url: str, limits: FetchLimits) -> Rules:
    parts = urlsplit(url)
    site = f"{parts.scheme.lower()}://{parts.netloc.lower()}"
    known = _known.get(site)
    if known is not None and time.monotonic() - known.read_at < FRESH_SECONDS:
        return known
    if len(_known) >= SITES:
        _known.clear()
    rules = _known[site] = await _read(site, limits)
    return rules


async def _read(site: str, limits: FetchLimits) -> Rules:
    parser = RobotFileParser()
    try:
        fetched = await fetch(f"{site}/robots.txt", limits=limits._replace(max_bytes=MAX_BYTES))
        text = fetched.data.decode(errors="replace") if isinstance(fetched, Fetched) else ""
    except (FetchRejected, DocumentTooLarge):
        text = ""  # what is not there forbids nothing
    parser.parse(text.splitlines())
    return Rules(parser, time.monotonic())
