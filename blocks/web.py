"""The fetcher: documents from public web servers, and from nowhere else.

Every address of a name is checked and the connection goes to the address that was checked, so a name that resolves
differently a moment later changes nothing. Redirects are checked like first requests. Proxies are not used.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import NamedTuple
from urllib.parse import urljoin

import httpx

from kowai.addresses import is_metadata, is_public
from kowai.errors import DocumentTooLarge, FetchFailed, FetchRefused, FetchRejected, FetchTimeout

AGENT = "KowAI/0.1 (+document ingestion)"
TRY_LATER = frozenset((408, 425, 429))
ENCODINGS = frozenset(("", "identity", "gzip", "deflate"))  # one layer, or a kilobyte could unpack to terabytes

_HOST = re.compile(rb"[a-z0-9._:-]+")

Resolve = Callable[[str, int], Awaitable[list[str]]]


class FetchLimits(NamedTuple):
    """Bound a fetch. `allowed_hosts` are `host:port` that may be private although `allow_private` is off."""

    max_bytes: int = 100_000_000
    seconds: float = 60.0
    redirects: int = 5
    allow_private: bool = False
    allowed_hosts: frozenset[str] = frozenset()


class Fetched(NamedTuple):
    data: bytes
    media_type: str | None
    final_url: str
    etag: str | None
    last_modified: str | None
    charset: str | None


class NotModified(NamedTuple):
    """Say that the document is still the one with the etag or date that was sent along."""

    final_url: str


async def resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def fetch(
    url: str,
    *,
    limits: FetchLimits = FetchLimits(),
    etag: str | None = None,
    last_modified: str | None = None,
    resolver: Resolve = resolve,
) -> Fetched | NotModified:
    """Return the document at `url`, or NotModified if it still has `etag` or `last_modified`.

    Raises FetchRefused for what may not be asked for, DocumentTooLarge, FetchTimeout, FetchRejected for an answer that
    will stay the same and FetchFailed for one that may not.
    """
    headers = {"User-Agent": AGENT, "Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "gzip, deflate"}
    conditions = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    headers |= {name: value for name, value in conditions.items() if value}
    try:
        async with (
            asyncio.timeout(limits.seconds),
            httpx.AsyncClient(transport=_Pinned(limits, resolver), timeout=limits.seconds, trust_env=False) as client,
        ):
            return await _follow(client, url, headers, limits)
    except (TimeoutError, httpx.TimeoutException) as error:
        sentence = f"{_shown(url)} did not answer within {limits.seconds:g} seconds."
        raise FetchTimeout(sentence, operator=repr(error)) from error
    except (httpx.HTTPError, OSError, ValueError) as error:
        raise FetchFailed(f"{_shown(url)} could not be fetched.", operator=repr(error)) from error


async def _follow(
    client: httpx.AsyncClient, url: str, headers: dict[str, str], limits: FetchLimits
) -> Fetched | NotModified:
    for _ in range(limits.redirects + 1):
        async with client.stream("GET", _checked(url), headers=headers) as response:
            if not response.has_redirect_location:
                return await _receive(response, url, limits)
            url = urljoin(url, response.headers["location"])
    raise FetchRefused(f"{_shown(url)} is one redirect too many: at most {limits.redirects} are followed.")


def _checked(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise FetchRefused(f"{_shown(url)} is not a URL.", operator=str(error)) from error
    if parsed.userinfo:
        raise FetchRefused(f"The URL of {parsed.raw_host.decode()} holds a user name or password: leave it out.")
    if parsed.scheme not in ("http", "https") or not _HOST.fullmatch(parsed.raw_host):
        raise FetchRefused(f"{_shown(url)} is not a web address: only http and https are fetched.")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise FetchRefused(f"{_shown(url)} names a port that does not exist.")
    return parsed


def _shown(url: str) -> str:
    """Return the URL without its query, which may hold a secret."""
    return url.partition("?")[0][:200]


async def _receive(response: httpx.Response, url: str, limits: FetchLimits) -> Fetched | NotModified:
    status, headers = response.status_code, response.headers
    if status == 304:
        return NotModified(url)
    if status != 200:
        kind = FetchFailed if status in TRY_LATER or status >= 500 else FetchRejected
        raise kind(f"{_shown(url)} answered {status} {httpx.codes.get_reason_phrase(status)}".rstrip() + ".")
    if headers.get("content-encoding", "").strip().lower() not in ENCODINGS:
        raise FetchRejected(f"{_shown(url)} answered in an encoding it was not asked for.")
    data = await _body(response, url, limits.max_bytes)
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower() or None
    return Fetched(data, media_type, url, headers.get("etag"), headers.get("last-modified"), response.charset_encoding)


async def _body(response: httpx.Response, url: str, max_bytes: int) -> bytes:
    if int(response.headers.get("content-length", "0")) > max_bytes:
        raise DocumentTooLarge.beyond(_shown(url), max_bytes)
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > max_bytes:
            raise DocumentTooLarge.beyond(_shown(url), max_bytes)
    return bytes(data)


@cache
def _trusted() -> ssl.SSLContext:
    return httpx.create_ssl_context()


class _Pinned(httpx.AsyncBaseTransport):
    """Connect to the address that was checked, under the name that was asked for."""

    def __init__(self, limits: FetchLimits, resolver: Resolve) -> None:
        self._limits = limits
        self._resolver = resolver
        # No connection is reused: two names at one address must not share an encrypted one.
        fresh = httpx.Limits(max_connections=1, max_keepalive_connections=0)
        self._inner = httpx.AsyncHTTPTransport(verify=_trusted(), limits=fresh)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.raw_host.decode()
        port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
        addresses = await checked_addresses(host, port, self._limits, self._resolver)
        extensions = {**request.extensions, "sni_hostname": host}
        for address in addresses:
            target = httpx.Request(
                request.method,
                request.url.copy_with(host=address),
                headers=request.headers,
                stream=request.stream,
                extensions=extensions,
            )
            try:
                return await self._inner.handle_async_request(target)
            except httpx.ConnectError:
                if address == addresses[-1]:
                    raise
        raise httpx.ConnectError(f"{host} has no address")

    async def aclose(self) -> None:
        await self._inner.aclose()


async def checked_addresses(host: str, port: int, limits: FetchLimits, resolver: Resolve = resolve) -> list[str]:
    """Return the addresses of a name. Raises FetchRefused when one is private and may not be, or tells secrets."""
    addresses, allowed = await resolver(host, port), f"{host}:{port}" in limits.allowed_hosts
    telling = [address for address in addresses if is_metadata(address)]
    if telling and not allowed:
        sentence = f"{host} is where a cloud tells its machines their secrets: nothing is fetched from there."
        raise FetchRefused(sentence, operator=f"{host} resolves to {', '.join(telling)}")
    may_be_private = limits.allow_private or allowed
    private = [address for address in addresses if not is_public(address)]
    if private and not may_be_private:
        sentence = f"{host} is not on the public internet: fetching from private networks is switched off."
        raise FetchRefused(sentence, operator=f"{host} resolves to {', '.join(private)}")
    return addresses
