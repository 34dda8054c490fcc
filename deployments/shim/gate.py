"""What holds for every request and reply: a body of bounded size and depth, and what is left of the limits."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kowai.limits import headers
from kowai.nesting import DEEPEST, nests_deeply
from kowai.settings import settings

TOO_DEEP = f"The body nests deeper than {DEEPEST} levels, or its brackets do not match."


class Gate:
    """Stand around the application (ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and (quotas := state.get("quotas")):
                fields = [(name.lower().encode(), value.encode()) for name, value in headers(quotas).items()]
                message = {**message, "headers": [*message["headers"], *fields]}
            await send(message)

        await self._app(scope, Body(scope, receive).next, told)


class Body:
    """Hand a body on piece by piece; JSON, which is read into memory, only when it is neither too large nor too deep.

    Raises HTTPException, which FastAPI lets through from wherever it reads the body.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_json = "json" in Headers(scope=scope).get("content-type", "json")
        known = settings()
        self._largest = known.max_document_bytes if self._is_json else known.max_body_bytes
        self._size, self._brackets = 0, 0
        self._pieces: list[bytes] = []

    async def next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._check(message.get("body", b""), last=not message.get("more_body", False))
        return message

    def _check(self, piece: bytes, *, last: bool) -> None:
        self._size += len(piece)
        if self._size > self._largest:
            raise HTTPException(413, f"The body is larger than the {self._largest / 1e6:,.3g} MB that are read.")
        if not self._is_json:
            return
        self._pieces.append(piece)
        self._brackets += piece.count(b"[") + piece.count(b"{")
        if last:
            pieces, self._pieces = self._pieces, []
            if self._brackets > DEEPEST and nests_deeply(b"".join(pieces)):
                raise HTTPException(422, TOO_DEEP)
