"""A tenant's users, as its admins see them."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.identity import Principal, may
from kowai.errors import Forbidden
from kowai.permissions import at_least, reach_of
from tasks import users
from tasks.users import User

router = APIRouter(prefix="/api/v1/users", tags=["users"])

Admin = Annotated[Principal, Depends(may("users.manage"))]
Role = Literal["viewer", "analyst", "operator", "admin", "platform_admin"]


class NewUser(BaseModel):
    """Add a person to the tenant; nobody can hand out a role above their own."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"email": "ada@example.org"}]})

    email: str = Field(max_length=254)
    name: str = Field("", max_length=200)
    role: Role = "viewer"


class UserChange(BaseModel):
    """Change what is given; a disabled user's logins end at once."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=200)
    role: Role | None = None
    disabled: bool | None = None


class PasswordToken(BaseModel):
    """Hand this over to the user: it sets a password once, within a day, at /api/v1/auth/password-reset."""

    password_token: str


class AddedUser(PasswordToken):
    user: User


@router.post("", status_code=201)
async def add_user(new: NewUser, caller: Admin) -> AddedUser:
    """Add a user; the reply holds the token by which they set their password."""
    _check_rank(caller, new.role)
    user, token = await users.add_user(new.email, new.name, new.role, caller.tenant_id)
    return AddedUser(user=user, password_token=token)


@router.get("")
async def list_users(caller: Admin) -> list[User]:
    """List the tenant's users."""
    return await users.list_users(caller.tenant_id)


@router.get("/{user_id}")
async def get_user(user_id: UUID, caller: Admin) -> User:
    """Return one user."""
    return await users.find_user(user_id, caller.tenant_id)


@router.patch("/{user_id}")
async def change_user(user_id: UUID, change: UserChange, caller: Admin) -> User:
    """Change a user's name or role, disable them, or let them in again, which also ends a lock."""
    user = await users.find_user(user_id, caller.tenant_id)
    _check_rank(caller, user.role)
    _check_rank(caller, change.role or user.role)
    return await users.change_user(user_id, caller.tenant_id, change.model_dump(exclude_none=True))


@router.post("/{user_id}/password-token")
async def issue_password_token(user_id: UUID, caller: Admin) -> PasswordToken:
    """Return a token by which the user sets a new password; earlier ones are void."""
    _check_rank(caller, (await users.find_user(user_id, caller.tenant_id)).role)
    return PasswordToken(password_token=await users.issue_password_token(user_id, caller.tenant_id))


def _check_rank(caller: Principal, role: str) -> None:
    """Refuse to decide about whoever may do more than the caller; a user may do all that their role may."""
    if not at_least(caller.role, role):
        raise Forbidden(f"Only a {role} may decide about a {role}; your role is {caller.role}.")
    if caller.scopes is not None and not reach_of(role) <= caller.scopes:
        raise Forbidden(f"This key's scopes leave out permissions that a {role} has.")
