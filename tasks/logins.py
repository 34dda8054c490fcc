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

# From the fifth wrong password on, the account is locked for a minute, then two, four ... up to an hour.
COUNT_FAILURE = text("""
update user_account set failures = failures + 1, locked_until = case when failures >= 4
  then now() + least(interval '1 minute' * power(2, least(failures - 4, 10)), interval '1 hour') end
where id = :id
""")

KNOWN = select(
    col(UserAccount.id), col(UserAccount.password_hash), col(UserAccount.locked_until), col(UserAccount.disabled_at)
)


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
    async with store.transaction(tenant_id) as connection:
        who = await connection.execute(KNOWN.where(col(UserAccount.email) == email.strip().lower()))
        user = who.one_or_none()
    right = await verify_password(password, user.password_hash if user else None)
    open_now = user is not None and _is_open(user)
    async with store.transaction(tenant_id) as connection:
        if user is None or not right or not open_now or user.disabled_at is not None:
            await connection.execute(COUNT_FAILURE, {"id": user.id if user and open_now else NOBODY})
            login = None
        else:
            clean = {"failures": 0, "locked_until": None, "last_login_at": func.now()}
            await connection.execute(update(UserAccount).where(col(UserAccount.id) == user.id).values(**clean))
            login = await _continue(connection, tenant_id, user.id, uuid4())
    if login is None:
        raise Unauthenticated(WRONG)
    return login


async def refresh(token: str) -> Login:
    """Exchange a refresh token for the next one. Raises TokenReused, which ends the login, and Unauthenticated."""
    key = parse_key(token, REFRESH)
    async with (await database()).transaction(key.tenant_id) as connection:
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
        await _keep_password(connection, row.user_id, hashed)


async def change_password(user_id: UUID, tenant_id: UUID, old: str, new: str) -> None:
    """Change one's own password, and end every login. Raises Unauthenticated when the old one is wrong."""
    known = KNOWN.add_columns(col(UserAccount.email)).where(col(UserAccount.id) == user_id)
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(known)).one_or_none()
    if row is None:
        raise NotFound("Only a user has a password; this is a key.")
    right, open_now = await verify_password(old, row.password_hash), _is_open(row)
    if not right or not open_now:
        async with (await database()).transaction(tenant_id) as connection:
            await connection.execute(COUNT_FAILURE, {"id": user_id if open_now else NOBODY})
        raise Unauthenticated("The old password is wrong, or the account is locked for a while.")
    check_password(new, row.email)
    hashed = await hash_password(new)
    async with (await database()).transaction(tenant_id) as connection:
        await _keep_password(connection, user_id, hashed)


def _is_open(user: Any) -> bool:
    return user.locked_until is None or user.locked_until <= datetime.now(UTC)


async def _keep_password(connection: AsyncConnection, user_id: UUID, hashed: str) -> None:
    changes = {"password_hash": hashed, "failures": 0, "locked_until": None}
    await connection.execute(update(UserAccount).where(col(UserAccount.id) == user_id).values(**changes))
    await end_logins(connection, user_id)


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
