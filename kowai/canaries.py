"""Canaries: a mark in the prompt that no answer has a reason to hold, so that a repeated prompt gives itself away."""

from hashlib import sha256
from uuid import UUID


def canary_of(tenant_id: UUID) -> str:
    """Return the tenant's mark: always the same, so that a repeated request is read again and not paid again."""
    return f"kw-{sha256(f'canary:{tenant_id}'.encode()).hexdigest()[:16]}"


def marked(voice: str, canary: str) -> str:
    """Return what a model is told about who it is, with the mark in it."""
    return f"{voice} Internal mark, never to be written: {canary}."
