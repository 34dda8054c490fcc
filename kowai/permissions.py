"""Who may do what: the one table of permissions. A role may do what the roles below it may."""

from kowai.errors import Forbidden, Misconfigured

ROLES = ("viewer", "analyst", "operator", "admin", "platform_admin")

LEAST_ROLE = {
    "account.use": "viewer",  # one's own name, role and password
    # Ask, and read what one may ask about.
    "questions.ask": "viewer",
    "questions.read": "viewer",
    "documents.search": "viewer",
    "documents.read": "viewer",
    # Bring in, and let work.
    "answers.trace": "analyst",  # prompts and passages behind an answer
    "answers.replay": "analyst",
    "documents.write": "analyst",
    "embeddings.make": "analyst",
    "batches.read": "analyst",
    "batches.run": "analyst",
    "evaluations.read": "analyst",
    "evaluations.run": "analyst",
    "costs.read": "analyst",
    "teams.read": "analyst",
    "teams.run": "analyst",
    "workflows.read": "analyst",
    "workflows.run": "analyst",
    # Keep it running.
    "documents.delete": "operator",
    "documents.review": "operator",
    "spending.approve": "operator",
    "events.read": "operator",
    "policies.read": "operator",
    "policies.write": "operator",
    "versions.promote": "operator",
    "health.read": "operator",
    # Decide for the tenant.
    "sources.read": "admin",  # files and URLs as the worker's machine sees them
    "sources.write": "admin",
    "users.manage": "admin",
    "keys.manage": "admin",
    "limits.manage": "admin",
    "retention.manage": "admin",  # what it takes away is gone for good
    "audit.read": "admin",
    "tenant.export": "admin",
    # Decide for all tenants.
    "tenants.manage": "platform_admin",
    "platform.read": "platform_admin",  # sums over all tenants
    "spaces.manage": "platform_admin",  # another space is another for every tenant
    "prefect.read": "platform_admin",  # Prefect knows no tenants
    "prefect.use": "platform_admin",
}

# What may call a model, and so stops when the day's tokens are used up.
SPENDING = frozenset({"questions.ask", "answers.replay", "batches.run", "evaluations.run", "teams.run"})

# What changes nothing though it is posted, or leaves a record of its own that names who did it.
UNAUDITED = frozenset({"prefect.read", "questions.ask", "documents.search", "embeddings.make"})
# What shows a secret once: a new key, a password's reset token.
SHOWING_SECRETS = frozenset({"account.use", "keys.manage", "users.manage", "tenants.manage"})
# What shows other people's doings, so that reading it is written down as well.
AUDITED_READS = frozenset(
    {
        "answers.trace",
        "audit.read",
        "events.read",
        "keys.manage",
        "limits.manage",
        "tenant.export",
        "tenants.manage",
        "users.manage",
    }
)


def is_audited(permission: str, method: str) -> bool:
    """Tell whether what a request does by a permission is written down: every change, and reads of others' data."""
    if method in ("GET", "HEAD", "OPTIONS"):
        return permission in AUDITED_READS
    return permission not in UNAUDITED


def at_least(role: str, least: str) -> bool:
    """Tell whether a role may do what `least` may; an unknown role may do nothing."""
    return role in ROLES and ROLES.index(role) >= ROLES.index(least)


def reach_of(role: str) -> frozenset[str]:
    """Return the permissions that a role has."""
    return frozenset(permission for permission, least in LEAST_ROLE.items() if at_least(role, least))


def known(permission: str) -> str:
    """Return a permission that is in the table. Raises Misconfigured for any other."""
    if permission not in LEAST_ROLE:
        raise Misconfigured(f"There is no permission '{permission}' in kowai/permissions.py.")
    return permission


def require(permission: str, role: str, scopes: frozenset[str] | None = None) -> None:
    """Let pass whose role has the permission and, where the key names scopes, whose scopes do. Raises Forbidden."""
    least = LEAST_ROLE[known(permission)]
    if not at_least(role, least):
        raise Forbidden(f"This takes the role {least} (permission {permission}); yours is {role}.")
    if scopes is not None and permission not in scopes:
        raise Forbidden(f"This key's scopes leave out the permission {permission}.")
