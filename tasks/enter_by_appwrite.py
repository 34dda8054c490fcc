"""Let a user of Appwrite in: asked about once a minute at most, entered as what the user's teams and labels say."""

import asyncio
import time
from collections import OrderedDict
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlmodel import col, select

from blocks.appwrite import Appwrite
from blocks.appwrite_users import find_user
from blocks.connections import appwrite, database
from kowai.appwrite_tokens import Claims
from kowai.errors import Forbidden, InvalidInput, Unauthenticated
from kowai.tables.identity import Tenant
from tasks.enter import Entrant, enter_as_guest

KEPT_SECONDS = 60.0
KEPT_TOKENS = 10_000
USERS = UUID("5d1b3a52-3f0e-5c7f-9a3e-0c6d7f8e2b41")


class TokenExpired(Unauthenticated):
    code = "token_expired"


class UnknownTeam(Forbidden):
    """Say that none of a user's teams is a tenant, or not the one that was asked for."""

    code = "unknown_team"


class TenantUnnamed(InvalidInput):
    """Say that a user of several tenants did not say for which one the request is."""

    code = "tenant_unnamed"


class Guest(NamedTuple):
    """Hold a user as they are known here, and their roles by the ids and names of their tenants."""

    id: UUID
    name: str
    roles: dict[tuple[UUID, str], str]


class Seen(NamedTuple):
    guest: Guest | Unauthenticated
    until: float


_seen: OrderedDict[str, Seen] = OrderedDict()
_asking: dict[str, asyncio.Task[Guest]] = {}


async def enter_by_appwrite(token: str, claims: Claims, wanted: str | None, *, counted: bool = True) -> Entrant:
    """Count a request of a user of Appwrite, in the tenant called `wanted` or the only one.

    Raises Unauthenticated, TokenExpired, UnknownTeam, TenantUnnamed, TenantSuspended and AppwriteUnavailable.
    """
    lifetime = claims.expires - time.time()
    if lifetime <= 0:
        raise TokenExpired("This token has expired: get a new one from Appwrite.")
    block = await appwrite()
    if block is None:
        raise Unauthenticated("This is no key or token of this installation, and it takes none of Appwrite's.")
    guest = await _known(block, token, lifetime)
    tenant_id, role = _chosen(guest, wanted)
    return await enter_as_guest(guest.id, guest.name, role, tenant_id, counted=counted)


async def _known(block: Appwrite, token: str, lifetime: float) -> Guest:
    """Return who a token speaks for, asking once for all who want to know; never after it has expired."""
    key = sha256(f"{block.endpoint}\0{block.project}\0{token}".encode()).hexdigest()
    seen = _seen.get(key)
    if seen is None or seen.until <= time.monotonic():
        if key not in _asking:
            _asking[key] = asking = asyncio.create_task(_ask(block, token))
            asking.add_done_callback(lambda _: _asking.pop(key, None))
        seen = Seen(await _answer(_asking[key]), time.monotonic() + min(KEPT_SECONDS, lifetime))
        _seen[key] = seen
        while len(_seen) > KEPT_TOKENS:
            _seen.popitem(last=False)
    if isinstance(seen.guest, Unauthenticated):
        raise seen.guest
    return seen.guest


async def _answer(asking: asyncio.Task[Guest]) -> Guest | Unauthenticated:
    try:
        return await asyncio.shield(asking)
    except Unauthenticated as error:
        return Unauthenticated(error.sentence, operator=error.operator)


async def _ask(block: Appwrite, token: str) -> Guest:
    user = await find_user(block, token)
    named = select(col(Tenant.id), col(Tenant.name)).where(col(Tenant.name).in_(user.roles))
    async with (await database()).connection() as connection:
        roles = {(row.id, row.name): user.roles[row.name] for row in await connection.execute(named)}
    return Guest(uuid5(USERS, f"{block.endpoint} {block.project} {user.id}"), user.name, roles)


def _chosen(guest: Guest, wanted: str | None) -> tuple[UUID, str]:
    """Return the tenant a request is for and the user's role in it."""
    fitting = {place: role for place, role in guest.roles.items() if wanted is None or wanted in map(str, place)}
    if not fitting:
        which = f"the tenant '{wanted}'" if wanted else "a tenant here"
        raise UnknownTeam(f"None of your teams is {which}.")
    if len(fitting) > 1:
        names = ", ".join(sorted(name for _, name in fitting))
        raise TenantUnnamed(f"Say for which of your tenants this is, by the header X-Kowai-Tenant: {names}.")
    (tenant_id, _), role = next(iter(fitting.items()))
    return tenant_id, role
