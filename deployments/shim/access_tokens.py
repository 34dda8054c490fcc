"""Access tokens: JWTs (RFC 7519) that say which login calls, for fifteen minutes; what it may do is read each time."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import jwt

from kowai.errors import Misconfigured, Unauthenticated
from kowai.settings import settings

LIFETIME = timedelta(minutes=15)
ALGORITHM = "HS256"
WHO = "kowai"
CLAIMS = ["iss", "aud", "sub", "tenant", "login", "iat", "exp", "jti"]
SHORTEST_KEY = 32


class Caller(NamedTuple):
    tenant_id: UUID
    user_id: UUID
    family: UUID


def make_access_token(caller: Caller, now: datetime) -> str:
    claims = {"iss": WHO, "aud": WHO, "sub": str(caller.user_id), "tenant": str(caller.tenant_id)}
    claims |= {"login": str(caller.family), "jti": str(uuid4())}
    return jwt.encode(claims | {"iat": now, "exp": now + LIFETIME}, signing_key(), algorithm=ALGORITHM)


def read_access_token(token: str) -> Caller:
    """Return who a token speaks for. Raises Unauthenticated for one that is forged, expired or lacks a claim."""
    try:
        jwt.get_unverified_header(token)  # what is no token at all is refused without a key, too
        claims: dict[str, Any] = jwt.decode(
            token, signing_key(), algorithms=[ALGORITHM], issuer=WHO, audience=WHO, options={"require": CLAIMS}
        )
        return Caller(UUID(claims["tenant"]), UUID(claims["sub"]), UUID(claims["login"]))
    except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
        raise Unauthenticated("This access token is wrong or expired: refresh it or log in again.") from error


def signing_key() -> str:
    """Return what signs tokens: KOWAI_TOKEN_KEY, or the state's secret. Raises Misconfigured when there is neither."""
    given, path = settings().token_key, settings().secrets / "token-key"
    if given is None and not path.exists():
        raise Misconfigured("Nobody can log in: set KOWAI_TOKEN_KEY, or start once with `kowai up`.")
    key = given.get_secret_value() if given else path.read_text().strip()
    if len(key) < SHORTEST_KEY:
        raise Misconfigured(f"The key of access tokens has to have {SHORTEST_KEY} characters or more.")
    return key
