"""Flags: a value that differs by role, by share of callers or not at all; which one a caller gets never wavers."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from kowai.permissions import ROLES
from kowai.types import Value

Reason = Literal["DISABLED", "STATIC", "TARGETING_MATCH", "SPLIT", "DEFAULT"]  # as OpenFeature calls them


class Rule(Value):
    """Give callers of these roles, or of any, a variant by shares in percent; what is left of 100 goes on.

    Shares are taken in the order of their names, so that raising one keeps whoever had it.
    """

    roles: tuple[str, ...] = ()
    shares: dict[str, float] = Field(min_length=1)

    @field_validator("roles")
    @classmethod
    def _known(cls, roles: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(roles) - set(ROLES):
            raise ValueError(f"there is no role {', '.join(sorted(unknown))}; choose of {', '.join(ROLES)}")
        return roles

    @field_validator("shares")
    @classmethod
    def _possible(cls, shares: dict[str, float]) -> dict[str, float]:
        if min(shares.values()) < 0 or sum(shares.values()) > 100 + 1e-9:
            raise ValueError("shares are percentages of 0 or more that sum to 100 at most")
        return shares


class Flag(Value):
    """Hold a tenant's flag: the first rule that is meant for the caller and reaches them decides, else the default."""

    name: str = Field(pattern="^[a-z][a-z0-9_.-]{0,79}$")
    description: str = ""
    enabled: bool = True
    variants: dict[str, Any] = Field(min_length=1)
    default: str
    rules: tuple[Rule, ...] = Field(default=(), max_length=50)

    @model_validator(mode="after")
    def _complete(self) -> "Flag":
        named = {self.default, *(variant for rule in self.rules for variant in rule.shares)}
        if unknown := named - set(self.variants):
            raise ValueError(f"there is no variant {', '.join(sorted(unknown))}")
        return self


class Resolved(NamedTuple):
    """Hold the variant a caller gets, and why."""

    variant: str
    value: Any
    reason: Reason


def resolve(flag: Flag, unit: str, role: str | None) -> Resolved:
    """Return what the caller `unit` of a role gets."""
    if not flag.enabled:
        return _given(flag, flag.default, "DISABLED")
    if not flag.rules:
        return _given(flag, flag.default, "STATIC")
    place = 100 * bucket(flag.name, unit)
    for rule in flag.rules:
        if rule.roles and role not in rule.roles:
            continue
        chosen = chosen_by(rule.shares, place)
        if chosen is not None:
            is_whole = max(rule.shares.values()) >= 100
            return _given(flag, chosen, "TARGETING_MATCH" if is_whole else "SPLIT")
    return _given(flag, flag.default, "DEFAULT")


def bucket(salt: str, unit: str) -> float:
    """Return a place in [0, 1) that is always the same for a unit, and independent of its places under other salts."""
    return int.from_bytes(sha256(f"{salt}\0{unit}".encode()).digest()[:8]) / 2**64


def chosen_by(shares: Mapping[str, float], place: float) -> str | None:
    """Return whose share the place in [0, 100) falls into."""
    reached = 0.0
    for variant in sorted(shares):
        reached += shares[variant]
        if place < reached:
            return variant
    return None


def _given(flag: Flag, variant: str, reason: Reason) -> Resolved:
    return Resolved(variant, flag.variants[variant], reason)
