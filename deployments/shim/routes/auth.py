"""Logins: from a password to a short access token and a refresh token that works once."""

from datetime import UTC, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from deployments.shim.access_tokens import LIFETIME, Caller, make_access_token
from deployments.shim.identity import Principal, anyone, may, slowly
from tasks import logins

router = APIRouter(prefix="/api/v1/auth", tags=["auth"])

Oneself = Annotated[Principal, Depends(may("account.use"))]
OPEN = [Depends(anyone), Depends(slowly)]
Password = Annotated[str, Field(min_length=1, max_length=200)]


class Credentials(BaseModel):
    """Say who you are."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(max_length=254)
    password: Password
    tenant: str = Field("default", max_length=63, description="The tenant's name.")


class Presented(BaseModel):
    """Present the refresh token of a login."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: str = Field(max_length=200)


class NewPassword(BaseModel):
    """Set a password by a token that an admin issued."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(max_length=200)
    password: Password


class PasswordChange(BaseModel):
    model_config = ConfigDict(extra="forbid")

    old_password: Password
    new_password: Password


class Tokens(BaseModel):
    """Hold what goes into `Authorization: Bearer`, and what the next one is got with, once (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- a type
    expires_in: int = Field(description="Seconds.")
    refresh_token: str


class Myself(BaseModel):
    """Say as whom a request is taken."""

    id: UUID
    name: str = Field(description="A user's e-mail address, or a key's name.")
    tenant_id: UUID
    role: str
    scopes: list[str] | None = Field(description="The permissions a key is confined to; null: all of its role.")


@router.post("/login", dependencies=OPEN)
async def log_in(who: Credentials, request: Request) -> Tokens:
    """Log in; after five wrong passwords the account is locked for a while."""
    login = await logins.log_in(who.tenant, who.email, who.password)
    request.state.principal = Principal(login.tenant_id, login.user_id, "", name=who.email.strip().lower())
    return _tokens(login)


@router.post("/refresh", dependencies=OPEN)
async def refresh(presented: Presented) -> Tokens:
    """Exchange a refresh token; one that comes a second time ends the login for whoever holds it."""
    return _tokens(await logins.refresh(presented.refresh_token))


@router.post("/logout", status_code=204, dependencies=OPEN)
async def log_out(presented: Presented) -> None:
    """End a login: its access tokens end with it."""
    await logins.log_out(presented.refresh_token)


@router.post("/password-reset", status_code=204, dependencies=OPEN)
async def set_password(new: NewPassword) -> None:
    """Set a password by a token, and end all logins of that user."""
    await logins.set_password(new.token, new.password)


@router.post("/password", status_code=204)
async def change_password(change: PasswordChange, caller: Oneself) -> None:
    """Change your own password; every login ends, this one too."""
    await logins.change_password(caller.id, caller.tenant_id, change.old_password, change.new_password)


@router.get("/me")
async def whoami(caller: Oneself) -> Myself:
    """Say who you are taken for."""
    scopes = None if caller.scopes is None else sorted(caller.scopes)
    return Myself(id=caller.id, name=caller.name, tenant_id=caller.tenant_id, role=caller.role, scopes=scopes)


def _tokens(login: logins.Login) -> Tokens:
    access = make_access_token(Caller(login.tenant_id, login.user_id, login.family), datetime.now(UTC))
    return Tokens(access_token=access, expires_in=int(LIFETIME.total_seconds()), refresh_token=login.refresh_token)
