"""Files that never change while a process lives: read and packed once, known by their hash."""

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from fastapi import Request, Response

from deployments.shim.packing import pack, takes_gzip

BEST = 9
KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
}


class StaticFile(NamedTuple):
    """Hold a file as it is and as gzip, and the entity tag of both."""

    plain: bytes
    packed: bytes
    kind: str
    tag: str


def static_file(content: bytes, suffix: str) -> StaticFile:
    tag = hashlib.sha256(content).hexdigest()[:32]
    return StaticFile(content, pack(content, BEST), KINDS[suffix], tag)


@cache
def read_static(path: Path) -> StaticFile:
    return static_file(path.read_bytes(), path.suffix)


def sent(file: StaticFile, request: Request, policy: str | None = None, *, kept_seconds: int = 0) -> Response:
    """Return a file packed or plain, or 304 to a browser that has it; it asks again once it has kept it so long."""
    packs = takes_gzip(request.scope["headers"])
    tag = f'"{file.tag}{"-gzip" if packs else ""}"'
    kept = f"public, max-age={kept_seconds}" if kept_seconds else "no-cache"
    headers = {"ETag": tag, "Cache-Control": kept, "Vary": "Accept-Encoding"}
    headers |= {"Content-Security-Policy": policy} if policy else {}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Encoding": "gzip"} if packs else {}
    return Response(file.packed if packs else file.plain, headers=headers, media_type=file.kind)
