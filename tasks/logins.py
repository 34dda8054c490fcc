"""Logins: a password for a family of refresh tokens, each of which works once."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import func, insert, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import NotFound, Unauthenticated
from kowai.keys import PASSWORD, REFRESH, ParsedKey, format_key, parse_key
from kowai.tables.identity import Tenant, UserAccount, UserToken
from tasks.passwords import check_password, hash_password, verify_password
from tasks.users import end_logins

REFRESH_DAYS = 30
NOBODY = UUID(int=0)
# One sentence for every failure: which of them it was is nobody's business who has not logged in.
WRONG = "The e-mail address or the password is wrong, or the account is locked for a while after too many attempts."

# An attempt counts before its password is looked at, so that many at once are no more than many in turn. From the fifth
# on, the account is locked for a minute, then two, four ... up to an hour; the right password takes all of it back.
ATTEMPT = text("""
update user_account set failures = failures + 1, locked_until = case when failures >= 4
  then now() + least(interval '1 minute' * power(2, least(failures - 4, 10)), interval '1 hour') end
where email = :email and (locked_until is null or locked_until <= now())
returning id, password_hash
""")

# Whoever goes on with a login and whoever ends it wait for each other here: neither overlooks the other's tokens.
HOLD = text("""
select u.id from user_account u join user_token t on t.user_id = u.id where t.digest = :digest for no key update of u
""")


class TokenReused(Unauthenticated):
    """Say that a refresh token came twice, so that one of its two holders stole it."""

    code = "token_reused"


class Login(NamedTuple):
    """Hold who logged in and the token by which the login goes on."""

    tenant_id: UUID
    user_id: UUID
    family: UUID
    refresh_token: str


async def log_in(tenant: str, email: str, password: str) -> Login:
    """Begin a family of tokens. Raises Unauthenticated, in the same time and words whatever was wrong."""
    store = await database()
    async with store.connection() as connection:
        found = select(col(Tenant.id)).where(col(Tenant.name) == tenant, col(Tenant.suspended).is_(False))
        tenant_id = await connection.scalar(found) or NOBODY
    user = await _attempt(email.strip().lower(), tenant_id)
    right = await verify_password(password, user.password_hash if user else None)
    if user is not None and right:
        async with store.transaction(tenant_id) as connection:
            if await connection.scalar(_forgiven(user, last_login_at=func.now())) is not None:
                return await _continue(connection, tenant_id, user.id, uuid4())
    raise Unauthenticated(WRONG)


async def refresh(token: str) -> Login:
    """Exchange a refresh token for the next one. Raises TokenReused, which ends the login, and Unauthenticated."""
    key = parse_key(token, REFRESH)
    async with (await database()).transaction(key.tenant_id) as connection:
        await connection.execute(HOLD, {"digest": key.digest})
        row = await _use(connection, key, "refresh")
        if row is not None:
            return await _continue(connection, key.tenant_id, row.user_id, row.family)
        family = await connection.scalar(select(col(UserToken.family)).where(col(UserToken.digest) == key.digest))
        await _revoke(connection, family)
    if family is not None:
        raise TokenReused("This refresh token was used before or has ended, so this login has ended: log in again.")
    raise Unauthenticated("This refresh token is wrong or expired: log in again.")


async def log_out(token: str) -> None:
    """End the login that a refresh token belongs to; an unknown one is no error."""
    key = parse_key(token, REFRESH)
    async with (await database()).transaction(key.tenant_id) as connection:
        await connection.execute(HOLD, {"digest": key.digest})
        family = await connection.scalar(select(col(UserToken.family)).where(col(UserToken.digest) == key.digest))
        await _revoke(connection, family)


async def set_password(token: str, password: str) -> None:
    """Set a password by a token that an admin issued, and end the user's logins. Raises Unauthenticated."""
    key = parse_key(token, PASSWORD)
    hashed = await hash_password(password)
    async with (await database()).transaction(key.tenant_id) as connection:
        row = await _use(connection, key, "password")
        if row is None:
            raise Unauthenticated("This password token is wrong, used or expired: ask an admin for another.")
        email = await connection.scalar(select(col(UserAccount.email)).where(col(UserAccount.id) == row.user_id))
        check_password(password, email or "")
        clean = {"password_hash": hashed, "failures": 0, "locked_until": None}
        await connection.execute(update(UserAccount).where(col(UserAccount.id) == row.user_id).values(**clean))
        await end_logins(connection, row.user_id)


async def change_password(user_id: UUID, tenant_id: UUID, old: str, new: str) -> None:
    """Change one's own password, and end every login. Raises Unauthenticated when the old one is wrong."""
    address = select(col(UserAccount.email)).where(col(UserAccount.id) == user_id)
    async with (await database()).transaction(tenant_id) as connection:
        email = await connection.scalar(address)
    if email is None:
        raise NotFound("Only a user has a password; this is a key.")
    check_password(new, email)
    user = await _attempt(email, tenant_id)
    right = await verify_password(old, user.password_hash if user else None)
    if user is not None and right:
        hashed = await hash_password(new)
        async with (await database()).transaction(tenant_id) as connection:
            if await connection.scalar(_forgiven(user, password_hash=hashed)) is not None:
                return await end_logins(connection, user_id)
    raise Unauthenticated("The old password is wrong, or the account is locked for a while.")


async def _attempt(email: str, tenant_id: UUID) -> Any:
    """Count an attempt and return the user; None for one who is unknown or locked.

    It does not wait for the disk, which only a known user's attempt would.
    """
    async with (await database()).transaction(tenant_id, durable=False) as connection:
        return (await connection.execute(ATTEMPT, {"email": email})).one_or_none()


def _forgiven(user: Any, **changes: Any) -> Any:
    """Return what forgets a user's attempts, unless their password or they themselves are not the same any more."""
    same = (col(UserAccount.password_hash) == user.password_hash, col(UserAccount.disabled_at).is_(None))
    changed = update(UserAccount).where(col(UserAccount.id) == user.id, *same)
    return changed.values(failures=0, locked_until=None, **changes).returning(col(UserAccount.id))


async def _use(connection: AsyncConnection, key: ParsedKey, kind: str) -> Any:
    """Return user and family of a token that works, which from now on it no longer does; None for any other."""
    mine = (col(UserToken.digest) == key.digest, col(UserToken.kind) == kind)
    live = (
        col(UserToken.used_at).is_(None),
        col(UserToken.revoked_at).is_(None),
        col(UserToken.expires_at) > func.now(),
    )
    enabled = select(col(UserAccount.id)).where(col(UserAccount.disabled_at).is_(None))
    change = update(UserToken).where(*mine, *live, col(UserToken.user_id).in_(enabled)).values(used_at=func.now())
    return (await connection.execute(change.returning(col(UserToken.user_id), col(UserToken.family)))).one_or_none()


async def _continue(connection: AsyncConnection, tenant_id: UUID, user_id: UUID, family: UUID) -> Login:
    token = format_key(tenant_id, secrets.token_urlsafe(32), REFRESH)
    row = {"tenant_id": tenant_id, "user_id": user_id, "kind": "refresh", "family": family}
    row |= {"digest": parse_key(token, REFRESH).digest, "expires_at": datetime.now(UTC) + timedelta(days=REFRESH_DAYS)}
    await connection.execute(insert(UserToken).values(**row))
    return Login(tenant_id, user_id, family, token)


async def _revoke(connection: AsyncConnection, family: UUID | None) -> None:
    if family is not None:
        live = (col(UserToken.family) == family, col(UserToken.revoked_at).is_(None))
        await connection.execute(update(UserToken).where(*live).values(revoked_at=func.now()))
