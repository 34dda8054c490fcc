"""A reverse proxy: one request handed on, its reply handed back piece by piece."""

from collections.abc import AsyncGenerator, Iterable

import httpx
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from kowai.errors import Misconfigured, NotFound, Unavailable

# Hop-by-hop headers (RFC 9110, section 7.6.1), what says who calls us, and what browsers keep.
KEPT_HERE = frozenset(
    b"authorization connection content-length cookie host keep-alive proxy-authenticate proxy-authorization set-cookie"
    b" te trailer transfer-encoding upgrade www-authenticate".split()
)
BODILESS = (204, 304)


async def forward(client: httpx.AsyncClient, request: Request, path: str) -> Response:
    """Send the request on below the client's base URL, with the client's credentials in place of the caller's.

    Raises NotFound for what is no path, Unavailable, and Misconfigured when the credentials are refused.
    """
    asked = client.base_url.raw_path.rstrip(b"/") + path.encode() + b"?" + request.scope["query_string"]
    try:
        url = client.base_url.copy_with(raw_path=asked)
    except httpx.InvalidURL as error:
        raise NotFound("There is no such path.") from error
    content = None if request.method == "GET" else await request.body()
    outgoing = client.build_request(request.method, url, headers=_passed(request.scope["headers"]), content=content)
    try:
        reply = await client.send(outgoing, stream=True)
    except httpx.HTTPError as error:
        raise Unavailable("Prefect cannot be reached.", operator=repr(error)) from error
    if reply.status_code == 401:
        await reply.aclose()
        raise Misconfigured("Prefect does not know us.", operator="look at PREFECT_API_AUTH_STRING")
    handed = StreamingResponse(_pieces(reply), reply.status_code)
    handed.raw_headers = [(name.lower(), value) for name, value in _passed(reply.headers.raw)]
    if reply.status_code not in BODILESS and (length := reply.headers.get("content-length")):
        handed.raw_headers.append((b"content-length", length.encode()))
    return handed


async def _pieces(reply: httpx.Response) -> AsyncGenerator[bytes]:
    try:
        async for piece in reply.aiter_raw():
            yield piece
    finally:
        await reply.aclose()


def _passed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in KEPT_HERE]
