"""A request body of bounded size and depth."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope

from kowai.nesting import DEEPEST, nests_deeply
from kowai.settings import settings

TOO_DEEP = f"The body nests deeper than {DEEPEST} levels, or its brackets do not match."


class Body:
    """Hand a body on piece by piece; JSON, which is read into memory, only when it is neither too large nor too deep.

    Raises HTTPException, which FastAPI lets through from wherever it reads the body.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._is_json = "json" in Headers(scope=scope).get("content-type", "json").lower()
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
