"""Who may look at Prefect through the shim: by a key as everywhere, or by the cookie that a browser got for one."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from fastapi import Depends, Request, Response, WebSocket, WebSocketException
from fastapi.security import HTTPAuthorizationCredentials
from fastapi.security.utils import get_authorization_scheme_param
from starlette.requests import HTTPConnection
from starlette.status import WS_1008_POLICY_VIOLATION

from deployments.shim.access_tokens import ALGORITHM, WHO, read_access_token, signing_key
from deployments.shim.identity import Enter, Permission, Principal, bearer, come_in, identify, let_pass
from kowai.errors import Forbidden, KowaiError, Unauthenticated
from kowai.keys import PREFIX, parse_key
from kowai.permissions import known
from tasks.enter import enter_as_user, enter_by_key

COOKIE = "kowai_prefect"
PATH = "/prefect"
AUDIENCE = "kowai-prefect"
LIFETIME = timedelta(hours=1)
CLAIMS = ["iss", "aud", "exp", "tenant"]


class LoginFirst(Unauthenticated):
    """Send a browser that asks for a page to where it can log in."""

    code = "login_first"
    place = f"{PATH}/login"


@dataclass(frozen=True)
class Visit(Permission):
    """Let pass as a permission does, also by cookie; what changes something has to come from our own pages."""

    async def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Principal:
        request.state.permission = self.name
        if credentials is not None:
            caller = await identify(request, credentials.credentials)
        elif COOKIE in request.cookies:
            _refuse_other_sites(request)
            caller = await _recognise(request, request.cookies[COOKIE])
        else:
            raise _stranger(request)
        let_pass(self.name, caller)
        return caller


def visit(permission: str) -> Visit:
    return Visit(known(permission))


@dataclass(frozen=True)
class Watch(Permission):
    """Let a socket be opened as a visit lets pages be looked at."""

    async def __call__(self, socket: WebSocket) -> Principal:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            return await look_in(socket, self.name)
        except KowaiError as error:
            raise WebSocketException(WS_1008_POLICY_VIOLATION, error.sentence) from error


def watch(permission: str) -> Watch:
    return Watch(known(permission))


async def look_in(socket: WebSocket, permission: str, *, counted: bool = True) -> Principal:
    """Return who opens a socket, or has one open, by key or cookie, the latter from our own pages only.

    Browsers let pages of any site open sockets, and say which by Origin alone (RFC 6455, section 10.2).
    Raises Unauthenticated, Forbidden and what identifying raises.
    """
    scheme, token = get_authorization_scheme_param(socket.headers.get("authorization"))
    if scheme.lower() == "bearer":
        caller = await identify(socket, token, counted=counted)
    elif COOKIE in socket.cookies:
        if urlsplit(socket.headers.get("origin", "")).netloc != socket.headers.get("host"):
            raise Forbidden("This was sent by a page of another site.")
        caller = await _recognise(socket, socket.cookies[COOKIE], counted=counted)
    else:
        raise _stranger(socket)
    let_pass(permission, caller)
    return caller


def admit_browser(response: Response, token: str, request: Request) -> None:
    """Give a browser a cookie that stands for the key or login it has shown; it ends with that, or after an hour."""
    if token.startswith(f"{PREFIX}_"):
        key = parse_key(token)
        who: dict[str, Any] = {"tenant": str(key.tenant_id), "key": key.digest}
    else:
        caller = read_access_token(token)
        who = {"tenant": str(caller.tenant_id), "user": str(caller.user_id), "login": str(caller.family)}
    claims = who | {"iss": WHO, "aud": AUDIENCE, "exp": datetime.now(UTC) + LIFETIME}
    response.set_cookie(
        COOKIE,
        jwt.encode(claims, signing_key(), algorithm=ALGORITHM),
        max_age=int(LIFETIME.total_seconds()),
        path=PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


async def _recognise(request: HTTPConnection, cookie: str, *, counted: bool = True) -> Principal:
    try:
        claims: dict[str, Any] = jwt.decode(
            cookie,
            signing_key(),
            algorithms=[ALGORITHM],
            issuer=WHO,
            audience=AUDIENCE,
            options={"require": CLAIMS},
        )
        tenant_id = UUID(claims["tenant"])
        if "key" in claims:
            enter: Enter = partial(enter_by_key, claims["key"], tenant_id)
        else:
            enter = partial(enter_as_user, UUID(claims["user"]), UUID(claims["login"]), tenant_id)
        return await come_in(request, enter, counted=counted)
    except (jwt.InvalidTokenError, Unauthenticated) as error:
        raise _stranger(request) from error


def _stranger(request: HTTPConnection) -> Unauthenticated:
    wants_page = request.scope.get("method") == "GET" and "text/html" in request.headers.get("accept", "")
    return (LoginFirst if wants_page else Unauthenticated)(f"Log in at {PATH}/login, or send a key.")


def _refuse_other_sites(request: Request) -> None:
    """Refuse a change that a page of another site makes a browser send (Sec-Fetch-Site, W3C Fetch Metadata)."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.method != "GET" and site != "same-origin":
        raise Forbidden("This was sent by a page of another site.")
