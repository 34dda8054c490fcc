"""Who is calling: a user by an access token, ours or Appwrite's, a program by an API key, or nobody."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection

from deployments.shim.access_tokens import read_access_token
from kowai.appwrite_tokens import claims_of
from kowai.errors import Unauthenticated, Unavailable
from kowai.keys import PREFIX, parse_key
from kowai.limits import TokensExhausted, check
from kowai.permissions import SPENDING, known, require
from tasks.enter import Entrant, enter_as_user, enter_by_key, enter_unknown
from tasks.enter_by_appwrite import TokenExpired, enter_by_appwrite

bearer = HTTPBearer(auto_error=False, description="An API key, the access token of a login, or a JWT of Appwrite's.")
UNTIL_TOKENS_RETURN = 3600
WHICH_TENANT = "X-Kowai-Tenant"


Enter = Callable[..., Awaitable[Entrant]]  # and nothing is counted by enter(counted=False)


class Principal(NamedTuple):
    """Name the tenant a request acts for, who calls and what they may do; the id is a key's or a user's."""

    tenant_id: UUID
    id: UUID
    role: str
    scopes: frozenset[str] | None = None
    name: str = ""
    streams: tuple[int, int] = (20, 200)
    tokens_left: int | None = None
    enter: Enter | None = None
    permission: str = "account.use"

    async def look_again(self) -> None:
        """Raise what the request would be refused by if it came now: Unauthenticated, Forbidden, TenantSuspended.

        It is counted no second time, nor refused because what vouched for the caller has run out since.
        """
        if self.enter is not None:
            with suppress(TokenExpired, Unavailable):
                entrant = await self.enter(counted=False)
                require(self.permission, entrant.role, entrant.scopes)


async def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
) -> Principal:
    """Return who calls and count the request. Raises Unauthenticated, TenantSuspended and LimitReached."""
    if credentials is None:
        raise Unauthenticated("Send an API key or an access token: Authorization: Bearer ...")
    return await identify(request, credentials.credentials)


async def identify(request: HTTPConnection, token: str, *, counted: bool = True) -> Principal:
    """Return whom a token speaks for. Raises as `authenticate` does."""
    return await come_in(request, _entrance(token, request.headers.get(WHICH_TENANT)), counted=counted)


async def come_in(request: HTTPConnection, enter: Enter, *, counted: bool) -> Principal:
    """Remember with the request who makes it and what is left to them. Raises LimitReached and what entering does."""
    entrant = await enter(counted=counted)
    request.state.quotas = entrant.quotas
    check(entrant.quotas)
    known = {name: getattr(entrant, name) for name in entrant._fields if name != "quotas"}
    principal = Principal(**known, enter=enter)
    request.state.principal = principal
    return principal


def _entrance(token: str, wanted: str | None) -> Enter:
    if token.startswith(f"{PREFIX}_"):
        key = parse_key(token)
        return partial(enter_by_key, key.digest, key.tenant_id)
    try:
        caller = read_access_token(token)
    except Unauthenticated:
        claims = claims_of(token)
        if claims is None:
            raise
        return partial(enter_by_appwrite, token, claims, wanted)
    return partial(enter_as_user, caller.user_id, caller.family, caller.tenant_id)


@dataclass(frozen=True)
class Permission:
    """Let a request pass whose principal has it; each route declares exactly one."""

    name: str

    async def __call__(self, request: Request, caller: Annotated[Principal, Depends(authenticate)]) -> Principal:
        request.state.permission = self.name
        let_pass(self.name, caller)
        return caller._replace(permission=self.name)


def let_pass(permission: str, caller: Principal) -> None:
    """Let pass who has the permission and, where it spends, tokens. Raises Forbidden and TokensExhausted."""
    require(permission, caller.role, caller.scopes)
    if permission in SPENDING and caller.tokens_left is not None and caller.tokens_left <= 0:
        raise TokensExhausted("The model tokens of this day are used up.", retry_after=UNTIL_TOKENS_RETURN)


def may(permission: str) -> Permission:
    """Return what a route depends on: `caller: Annotated[Principal, Depends(may("documents.read"))]`."""
    return Permission(known(permission))


async def anyone() -> None:
    """Let everybody in: what a route declares that holds nobody's data."""


async def slowly(request: Request) -> None:
    """Let strangers try only so often from one address; for routes that `anyone` may use to become somebody."""
    quota = await enter_unknown(request.client.host if request.client else "unknown")
    request.state.quotas = (quota,)
    check((quota,))
