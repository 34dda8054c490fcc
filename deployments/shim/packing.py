"""Squeeze replies with gzip where that is worth it and gives nothing away."""

import asyncio
from collections.abc import Iterable
from gzip import GzipFile
from io import BytesIO
from secrets import randbelow

from starlette.types import Message, Scope, Send

from deployments.shim.meters import PACKED
from kowai.permissions import SHOWING_SECRETS

LEVEL = 7
LEAST_BYTES = 1_000  # what fits into one packet arrives no sooner
OFF_LOOP_BYTES = 64_000
MOST_PADDING = 100  # bytes; hides how well a guess beside a secret was squeezed (Heal the BREACH, 2022)
KINDS = (b"application/json", b"application/jsonl", b"text/csv", b"text/html", b"text/markdown", b"text/plain")

Headers = Iterable[tuple[bytes, bytes]]


def takes_gzip(headers: Headers) -> bool:
    """Tell whether a client lists gzip and does not rule it out by a weight of zero (RFC 9110, section 12.5.3)."""
    listed = b",".join(value for name, value in headers if name == b"accept-encoding").lower()
    for one in listed.split(b","):
        coding, _, weight = one.replace(b" ", b"").partition(b";q=")
        if coding in (b"gzip", b"x-gzip"):
            return weight.strip(b"0.") != b"" or not weight
    return False


def may_be_packed(message: Message, permission: str | None) -> bool:
    """Tell whether a reply is text that no secret stands in: who may guess beside one would see it by its length.

    What nobody needs a permission for is a page, which comes packed already, or a login, which holds tokens.
    """
    headers = dict(message["headers"])
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    plain = kind in KINDS and b"content-encoding" not in headers and message["status"] != 206
    return plain and permission is not None and permission not in SHOWING_SECRETS


class Packing:
    """Send a reply whose beginning says that it may be packed; it is when its whole body is there at once."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._takes = takes_gzip(scope["headers"])
        self._send = send
        self._held: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            varied = {**message, "headers": [*message["headers"], (b"vary", b"Accept-Encoding")]}
            if self._takes:
                self._held = varied
                return
            message = varied
        elif self._held is not None:
            start, self._held = self._held, None
            body: bytes = message.get("body", b"")
            if len(body) >= LEAST_BYTES and not message.get("more_body"):
                packed = await _packed(body)
                start, message = _with_length(start, len(packed)), {**message, "body": packed}
            await self._send(start)
        await self._send(message)


async def _packed(body: bytes) -> bytes:
    packed = pack(body) if len(body) < OFF_LOOP_BYTES else await asyncio.to_thread(pack, body)
    PACKED.labels("before").inc(len(body))
    PACKED.labels("after").inc(len(packed))
    return packed


def pack(body: bytes, level: int = LEVEL) -> bytes:
    """Return the body as gzip, behind a file name of random length that clients skip (RFC 1952, FNAME)."""
    packed = BytesIO()
    with GzipFile("x" * randbelow(MOST_PADDING + 1), "wb", level, packed, mtime=0) as file:
        file.write(body)
    return packed.getvalue()


def _with_length(start: Message, length: int) -> Message:
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    told = [(b"content-encoding", b"gzip"), (b"content-length", str(length).encode())]
    return {**start, "headers": [*kept, *told]}
