"""What holds for every request and reply: bounded bodies, limits, protective headers, gzip, and who did what."""

from datetime import UTC, datetime
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.shim.bodies import Body
from deployments.shim.browsers import protective
from deployments.shim.errors import body
from deployments.shim.meters import Meter
from deployments.shim.packing import Packing, may_be_packed
from kowai.audit import Deed
from kowai.correlation import HEADER, accepted, correlated
from kowai.errors import Unavailable
from kowai.limits import headers
from kowai.permissions import is_audited
from tasks.audit import append

log = structlog.get_logger()

UNWRITTEN = "It cannot be written down who did this: look whether it was done, and try again shortly."


class Gate:
    """Stand around the application (ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        identity = accepted(Headers(scope=scope).get(HEADER))
        with correlated(identity):
            reply = Reply(scope, receive, send, identity)
            await self._app(scope, Body(scope, receive).next, reply.send)


class Reply:
    """Send a reply once what it tells of is in the audit log; a client is never told of a deed that is not."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._state: dict[str, Any] = scope.setdefault("state", {})
        self._replaced, self._identity = False, identity
        self._meter = Meter(scope)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            try:
                await self._write_down(message["status"])
            except Unavailable as error:
                log.error("audit not written", code=error.code, operator=error.operator)
                self._replaced = True
                refusal = JSONResponse(body("unavailable", UNWRITTEN, 503), 503, headers={"Retry-After": "1"})
                return await refusal(self._scope, self._receive, self._send)
            found_by = (HEADER.lower().encode(), self._identity.encode())
            added = [found_by, *self._limits(), *protective(self._scope, message["headers"])]
            message = {**message, "headers": [*message["headers"], *added]}
            self._meter.began_reply(message["status"])
            if may_be_packed(message, self._state.get("permission")):
                self._send = Packing(self._scope, self._send).send
        if not self._replaced:
            await self._send(message)

    def _limits(self) -> list[tuple[bytes, bytes]]:
        told = headers(self._state["quotas"]) if "quotas" in self._state else {}
        return [(name.lower().encode(), value.encode()) for name, value in told.items()]

    async def _write_down(self, status: int) -> None:
        caller, permission = self._state.get("principal"), self._state.get("permission", "")
        method, path = self._scope["method"], self._scope["path"]
        if caller is None or not (self._state.get("anothers") or is_audited(permission, method)):
            return
        address = (self._scope.get("client") or ("unknown",))[0]
        target = path.encode("ascii", "backslashreplace").decode().replace("\x00", "\\x00")[:500]
        deed = Deed(datetime.now(UTC), caller.id, caller.name, permission, method, target, status, address)
        await append(deed, caller.tenant_id)
