"""Keys and tokens: `PREFIX_<tenant id>_<secret>`. The tenant in one lets row-level security guard its own row."""

from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from kowai.errors import Unauthenticated

PREFIX = "kowai"  # API keys
REFRESH = "kowair"
PASSWORD = "kowaip"  # noqa: S105 -- a prefix
KINDS = {PREFIX: "API key", REFRESH: "refresh token", PASSWORD: "password token"}


class ParsedKey(NamedTuple):
    tenant_id: UUID
    digest: str


def format_key(tenant_id: UUID, secret: str, prefix: str = PREFIX) -> str:
    return f"{prefix}_{tenant_id.hex}_{secret}"


def parse_key(key: str, prefix: str = PREFIX) -> ParsedKey:
    """Return the tenant a key names and the SHA-256 it is stored under. Raises Unauthenticated."""
    found, _, rest = key.strip().partition("_")
    tenant, _, secret = rest.partition("_")
    try:
        if found != prefix or len(secret) < 32:
            raise ValueError(found)
        return ParsedKey(UUID(hex=tenant), sha256(key.strip().encode()).hexdigest())
    except ValueError as error:
        raise Unauthenticated(f"This is not a KowAI {KINDS[prefix]}.") from error
