"""A tenant's API keys, as its admins see them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from deployments.shim.identity import Principal, may
from kowai.errors import Forbidden, InvalidInput
from kowai.permissions import LEAST_ROLE, at_least
from tasks import api_keys
from tasks.api_keys import KeyView

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])

Admin = Annotated[Principal, Depends(may("keys.manage"))]


class NewKey(BaseModel):
    """Make a key; it can do no more than whoever makes it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "website"}]})

    name: str = Field(min_length=1, max_length=100)
    role: Literal["viewer", "analyst", "operator", "admin", "platform_admin"] = "viewer"
    scopes: list[str] | None = Field(
        None, max_length=100, description=f"Confine it to these permissions: {', '.join(sorted(LEAST_ROLE))}."
    )
    expires_at: AwareDatetime | None = Field(None, description="Null: it does not expire.")

    @field_validator("scopes")
    @classmethod
    def _known(cls, scopes: list[str] | None) -> list[str] | None:
        unknown = sorted(set(scopes or ()) - set(LEAST_ROLE))
        if unknown:
            raise ValueError(f"there is no permission {unknown[0]!r}")
        return None if scopes is None else sorted(set(scopes))


class Rotation(BaseModel):
    """Say how long the old key works beside its successor."""

    model_config = ConfigDict(extra="forbid")

    overlap_hours: float = Field(24, ge=0, le=24 * 90)


class MadeKey(BaseModel):
    """Hold the key in clear: it is shown this once and kept nowhere."""

    key: str
    details: KeyView


@router.post("", status_code=201)
async def make_key(new: NewKey, caller: Admin) -> MadeKey:
    """Make a key."""
    if new.expires_at is not None and new.expires_at <= datetime.now(UTC):
        raise InvalidInput("expires_at has to be in the future.")
    _check_reach(caller, new.role, new.scopes)
    wanted = api_keys.NewKey(new.name, new.role, new.scopes, caller.id, new.expires_at)
    details, key = await api_keys.make_key(wanted, caller.tenant_id)
    return MadeKey(key=key, details=details)


@router.get("")
async def list_keys(caller: Admin) -> list[KeyView]:
    """List the tenant's keys, newest first, with when each was last used."""
    return await api_keys.list_keys(caller.tenant_id)


@router.post("/{key_id}/rotate", status_code=201)
async def rotate_key(key_id: UUID, caller: Admin, rotation: Rotation | None = None) -> MadeKey:
    """Make a key's successor; the old one works on for the overlap."""
    old = await api_keys.find_key(key_id, caller.tenant_id)
    _check_reach(caller, old.role, old.scopes)
    overlap = timedelta(hours=(rotation or Rotation()).overlap_hours)  # pyright: ignore[reportCallIssue]
    details, key = await api_keys.rotate_key(old, overlap, caller.id, caller.tenant_id)
    return MadeKey(key=key, details=details)


@router.delete("/{key_id}")
async def revoke_key(key_id: UUID, caller: Admin) -> KeyView:
    """End a key at once."""
    old = await api_keys.find_key(key_id, caller.tenant_id)
    _check_reach(caller, old.role, old.scopes)
    return await api_keys.revoke_key(key_id, caller.tenant_id)


def _check_reach(caller: Principal, role: str, scopes: list[str] | None) -> None:
    """Refuse a key that could do more than its maker."""
    if not at_least(caller.role, role):
        raise Forbidden(f"Only a {role} may decide about a {role}'s key; your role is {caller.role}.")
    if caller.scopes is not None and not set(scopes or LEAST_ROLE) <= caller.scopes:
        raise Forbidden("A key cannot make one that reaches further than itself.")
