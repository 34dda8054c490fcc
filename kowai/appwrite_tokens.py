"""Tokens of Appwrite's users, told from our own before anybody is asked; only Appwrite can say whether one is sound."""

from typing import NamedTuple

import jwt


class Claims(NamedTuple):
    """Hold what a token says of itself; `expires` is in seconds since 1970."""

    user: str
    expires: float


def claims_of(token: str) -> Claims | None:
    """Return what a token of Appwrite's claims, unverified; None for any other."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
    except jwt.InvalidTokenError:
        return None
    user, expires = claims.get("userId"), claims.get("exp")
    if "iss" in claims or not isinstance(user, str) or not isinstance(expires, int | float):
        return None
    return Claims(user, expires)
