"""API keys: `kowai_<tenant id>_<secret>`. The tenant in the key lets row-level security guard the key's own row."""

from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from kowai.errors import Unauthenticated

PREFIX = "kowai"


class ParsedKey(NamedTuple):
    tenant_id: UUID
    digest: str


def format_key(tenant_id: UUID, secret: str) -> str:
    return f"{PREFIX}_{tenant_id.hex}_{secret}"


def parse_key(key: str) -> ParsedKey:
    """Return the tenant a key names and the SHA-256 it is stored under. Raises Unauthenticated."""
    prefix, _, rest = key.strip().partition("_")
    tenant, _, secret = rest.partition("_")
    try:
        if prefix != PREFIX or len(secret) < 32:
            raise ValueError(prefix)
        return ParsedKey(UUID(hex=tenant), sha256(key.strip().encode()).hexdigest())
    except ValueError as error:
        raise Unauthenticated("This is not a KowAI API key.") from error
