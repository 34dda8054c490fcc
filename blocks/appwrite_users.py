"""Who an Appwrite token speaks for, by the Account API, and which teams that user has joined, by the Users API."""

from typing import TYPE_CHECKING, Any, NamedTuple

from blocks.appwrite import Appwrite
from blocks.appwrite_calls import IDENTITY, AppwriteRefused
from kowai.errors import Misconfigured, Unauthenticated
from kowai.membership import Membership, Rules, roles_in_tenants

if TYPE_CHECKING:
    from appwrite.client import Client

PAGE = 100


class AppwriteUser(NamedTuple):
    """Hold a user, what people call them, and their roles by the names of their tenants."""

    id: str
    name: str
    roles: dict[str, str]


async def find_user(block: Appwrite, token: str) -> AppwriteUser:
    """Return who a token speaks for. Raises Unauthenticated, AppwriteUnavailable, and Misconfigured for a poor key."""
    try:
        user_id, name, labels = await block.call(_account, lane=IDENTITY, token=token)
    except AppwriteRefused as error:
        raise Unauthenticated("Appwrite does not know this token, or no longer.", operator=error.operator) from error
    try:
        memberships = await block.call(lambda client: _memberships(client, user_id), lane=IDENTITY)
    except AppwriteRefused as error:
        sentence = "The key in the block kowai-appwrite may not read the users' teams: it needs the scope users.read."
        raise Misconfigured(sentence, operator=error.operator) from error
    rules = Rules(block.teams, block.labels, block.team_roles, block.member_role)
    return AppwriteUser(user_id, name, roles_in_tenants(memberships, labels, rules))


def _account(client: "Client") -> tuple[str, str, list[str]]:
    from appwrite.models.user import User
    from appwrite.services.account import Account

    user: User[dict[str, Any]] = Account(client).get()
    return user.id, user.email or user.name or user.id, [str(label) for label in user.labels]


def _memberships(client: "Client", user_id: str) -> list[Membership]:
    """Return the teams that a user has joined; an invitation that was not accepted is no membership."""
    from appwrite.query import Query
    from appwrite.services.users import Users

    found: list[Membership] = []
    page = [Query.limit(PAGE)]
    while True:
        listed = Users(client).list_memberships(user_id, page).memberships
        found += [Membership(each.teamid, tuple(map(str, each.roles))) for each in listed if each.confirm]
        if len(listed) < PAGE:
            return found
        page = [Query.limit(PAGE), Query.cursor_after(listed[-1].id)]
