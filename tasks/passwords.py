"""Passwords under Argon2id (RFC 9106), hashed beside the event loop and never more than two at once."""

import asyncio
from functools import cache
from weakref import WeakKeyDictionary

from pwdlib import PasswordHash

from kowai.errors import InvalidInput

SHORTEST, LONGEST = 12, 200
AT_ONCE = 2  # each takes 64 MB while it lasts

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class WeakPassword(InvalidInput):
    code = "weak_password"


def check_password(password: str, email: str) -> None:
    """Raise WeakPassword for one that is too short, too long, monotonous or the user's own address."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"A password has {SHORTEST} to {LONGEST} characters; a sentence is a good one.")
    if len(set(password)) < 5 or email.partition("@")[0].lower() in password.lower().split() or password == email:
        raise WeakPassword("This password is too easy to guess.")


async def hash_password(password: str) -> str:
    async with _turn():
        return await asyncio.to_thread(_hasher().hash, password)


async def verify_password(password: str, known: str | None) -> bool:
    """Tell whether it is the one; for an unknown user it takes as long, and is not."""
    async with _turn():
        right = await asyncio.to_thread(_hasher().verify, password[:LONGEST], known or _nobodys())
    return right and known is not None


def _turn() -> asyncio.Semaphore:
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobodys() -> str:
    return _hasher().hash("nobody's password")
