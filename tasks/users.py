"""A tenant's users: added, changed, listed; never deleted, for what they did names them."""

import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from blocks.connections import database
from kowai.errors import InvalidInput, KowaiError, NotFound
from kowai.keys import PASSWORD, format_key, parse_key
from kowai.tables.identity import UserAccount, UserToken
from kowai.types import Value

PASSWORD_HOURS = 24
ADDRESS = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")


class UserExists(KowaiError):
    code, http_status = "user_exists", 409


class User(Value):
    """Show a user as an admin sees them."""

    id: UUID
    email: str
    name: str
    role: str
    has_password: bool
    disabled: bool
    locked_until: datetime | None
    last_login_at: datetime | None
    created_at: datetime


NAMES = ("id", "email", "name", "role", "locked_until", "last_login_at", "created_at")
COLUMNS: list[Any] = [
    *(getattr(UserAccount, name) for name in NAMES),
    col(UserAccount.password_hash).is_not(None).label("has_password"),
    col(UserAccount.disabled_at).is_not(None).label("disabled"),
]
SHOWN = select(*COLUMNS)


def normal_email(email: str) -> str:
    """Return the address as it is stored. Raises InvalidInput for what is none."""
    if len(email) > 254 or not ADDRESS.fullmatch(email.strip()):
        raise InvalidInput("This is not an e-mail address.")
    return email.strip().lower()


async def add_user(email: str, name: str, role: str, tenant_id: UUID) -> tuple[User, str]:
    """Add a user without a password; return them and the token by which they set one. Raises UserExists."""
    user_id = uuid4()
    row = {"id": user_id, "tenant_id": tenant_id, "email": normal_email(email), "name": name, "role": role}
    try:
        async with (await database()).transaction(tenant_id) as connection:
            await connection.execute(insert(UserAccount).values(**row))
            token = await _password_token(connection, user_id, tenant_id)
    except IntegrityError as error:
        raise UserExists("There is a user with this e-mail address already.") from error
    return await find_user(user_id, tenant_id), token


async def list_users(tenant_id: UUID, limit: int = 1000) -> list[User]:
    async with (await database()).transaction(tenant_id) as connection:
        rows = await connection.execute(SHOWN.order_by(col(UserAccount.email)).limit(limit))
        return [User.model_validate(row, from_attributes=True) for row in rows]


async def find_user(user_id: UUID, tenant_id: UUID) -> User:
    """Return one user of this tenant. Raises NotFound."""
    async with (await database()).transaction(tenant_id) as connection:
        row = (await connection.execute(SHOWN.where(col(UserAccount.id) == user_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such user.")
    return User.model_validate(row, from_attributes=True)


async def change_user(user_id: UUID, tenant_id: UUID, changes: dict[str, Any]) -> User:
    """Change name, role or whether the user is disabled, which ends their logins. Raises NotFound."""
    disabled = changes.pop("disabled", None)
    if disabled is not None:
        changes["disabled_at"] = datetime.now(UTC) if disabled else None
        changes |= {} if disabled else {"failures": 0, "locked_until": None}
    async with (await database()).transaction(tenant_id) as connection:
        if changes:
            await connection.execute(update(UserAccount).where(col(UserAccount.id) == user_id).values(**changes))
        if disabled:
            await end_logins(connection, user_id)
    return await find_user(user_id, tenant_id)


async def issue_password_token(user_id: UUID, tenant_id: UUID) -> str:
    """Return a token by which the user sets a new password; earlier ones are void. Raises NotFound."""
    await find_user(user_id, tenant_id)
    async with (await database()).transaction(tenant_id) as connection:
        return await _password_token(connection, user_id, tenant_id)


async def end_logins(connection: AsyncConnection, user_id: UUID) -> None:
    """Revoke every token of a user, in the transaction of what makes that necessary."""
    live = (col(UserToken.user_id) == user_id, col(UserToken.revoked_at).is_(None))
    await connection.execute(update(UserToken).where(*live).values(revoked_at=func.now()))


async def _password_token(connection: AsyncConnection, user_id: UUID, tenant_id: UUID) -> str:
    earlier = (col(UserToken.user_id) == user_id, col(UserToken.kind) == "password")
    await connection.execute(update(UserToken).where(*earlier).values(revoked_at=func.now()))
    token = format_key(tenant_id, secrets.token_urlsafe(32), PASSWORD)
    row = {"tenant_id": tenant_id, "user_id": user_id, "kind": "password", "family": uuid4()}
    row |= {"digest": parse_key(token, PASSWORD).digest}
    row |= {"expires_at": datetime.now(UTC) + timedelta(hours=PASSWORD_HOURS)}
    await connection.execute(insert(UserToken).values(**row))
    return token
