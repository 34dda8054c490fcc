"""What an outside project's teams, labels and team roles mean here: which tenants a user is in, and as what."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kowai.permissions import ROLES


class Membership(NamedTuple):
    """Hold a team that a user has joined, and as what."""

    team: str
    roles: tuple[str, ...]


class Rules(NamedTuple):
    """Map teams to tenants' names, and labels and team roles to roles; `member` is the role of all other members."""

    teams: Mapping[str, str]
    labels: Mapping[str, str]
    team_roles: Mapping[str, str]
    member: str | None


def roles_in_tenants(memberships: Iterable[Membership], labels: Iterable[str], rules: Rules) -> dict[str, str]:
    """Return a user's highest role in each tenant, by the tenant's name; no rule reaches beyond its tenant."""
    labelled = [rules.labels[label] for label in labels if label in rules.labels]
    found: dict[str, str] = {}
    for team, roles in memberships:
        tenant = rules.teams.get(team)
        if tenant is None:
            continue
        given = [rules.team_roles[role] for role in roles if role in rules.team_roles]
        everyones = [role for role in (rules.member, found.get(tenant)) if role is not None]
        known = [role for role in (*labelled, *given, *everyones) if role in ROLES and role != "platform_admin"]
        if known:
            found[tenant] = max(known, key=ROLES.index)
    return found
