"""Who is calling: an API key, or nobody."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodel import col, select

from blocks.connections import database
from kowai.errors import Unauthenticated
from kowai.keys import parse_key
from kowai.permissions import known, require
from kowai.tables.identity import ApiKey

bearer = HTTPBearer(auto_error=False, description="An API key; the first one lies in the state directory's secrets.")


class Principal(NamedTuple):
    """Name the tenant a request acts for, the key it acts by, and what that key may do."""

    tenant_id: UUID
    id: UUID
    role: str
    scopes: frozenset[str] | None = None


async def authenticate(
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Principal:
    """Return the key's principal. Raises Unauthenticated for a missing, wrong, revoked or expired key."""
    if credentials is None:
        raise Unauthenticated("Send an API key: Authorization: Bearer kowai_...")
    key = parse_key(credentials.credentials)
    live = (col(ApiKey.digest) == key.digest, col(ApiKey.revoked_at).is_(None))
    async with (await database()).transaction(key.tenant_id) as connection:
        found = select(col(ApiKey.id), col(ApiKey.role), col(ApiKey.expires_at)).where(*live)
        row = (await connection.execute(found)).one_or_none()
    if row is None or (row.expires_at is not None and row.expires_at <= datetime.now(UTC)):
        raise Unauthenticated("This API key is wrong, revoked or expired.")
    return Principal(key.tenant_id, row.id, row.role)


@dataclass(frozen=True)
class Permission:
    """Let a request pass whose principal has it; each route declares exactly one."""

    name: str

    async def __call__(self, caller: Annotated[Principal, Depends(authenticate)]) -> Principal:
        require(self.name, caller.role, caller.scopes)
        return caller


def may(permission: str) -> Permission:
    """Return what a route depends on: `caller: Annotated[Principal, Depends(may("documents.read"))]`."""
    return Permission(known(permission))


async def anyone() -> None:
    """Let everybody in: what a route declares that holds nobody's data."""
