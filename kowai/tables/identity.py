"""Who asks: tenants, their users, and the keys and tokens that act for them."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from kowai.permissions import ROLES
from kowai.tables.rows import Row, TenantRow, moment

KNOWN_ROLE = f"role in {ROLES}"


class Tenant(Row, table=True):
    """Own every other row. `name` is what people type; a suspended tenant may do nothing."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True, max_length=63)
    suspended: bool = False
    mirrored: bool = Field(
        default=False,
        sa_column_kwargs={"server_default": text("false")},
        description="Whether its questions, answers and insights are told to Appwrite.",
    )
    created_at: datetime | None = moment(nullable=False)


class ApiKey(TenantRow, table=True):
    """Let a program act for a tenant; only the SHA-256 of the key is kept."""

    __table_args__ = (CheckConstraint(KNOWN_ROLE, name="known_key_role"),)

    name: str = Field(max_length=100)
    digest: str = Field(unique=True, max_length=64)
    role: str = Field(default="admin", max_length=20)
    scopes: list[str] | None = Field(
        default=None,
        sa_column=Column(JSONB(none_as_null=True)),
        description="The permissions it is confined to; null: all of its role.",
    )
    created_by: UUID | None = Field(default=None, description="The key or user that made it.")
    last_used_at: datetime | None = moment()
    expires_at: datetime | None = moment()
    revoked_at: datetime | None = moment()


class UserAccount(TenantRow, table=True):
    """Let a person act for a tenant; the password is kept under Argon2id, and none means none was set yet."""

    __table_args__ = (
        UniqueConstraint("tenant_id", "email"),
        CheckConstraint(KNOWN_ROLE, name="known_user_role"),
    )

    email: str = Field(max_length=254, description="In lower case.")
    name: str = Field(default="", max_length=200)
    role: str = Field(default="viewer", max_length=20)
    password_hash: str | None = Field(default=None, max_length=200)
    failures: int = Field(default=0, description="Wrong passwords since the last right one.")
    locked_until: datetime | None = moment()
    disabled_at: datetime | None = moment()
    last_login_at: datetime | None = moment()


class UserToken(TenantRow, table=True):
    """Keep the SHA-256 of a token that works once: a refresh token, or one that sets a password.

    Refresh tokens that follow from one login are a family: when one is used twice, all of it is revoked.
    """

    __table_args__ = (CheckConstraint("kind in ('refresh', 'password')", name="known_token_kind"),)

    user_id: UUID = Field(foreign_key="user_account.id", ondelete="CASCADE", index=True)
    kind: str = Field(max_length=20)
    family: UUID = Field(index=True)
    digest: str = Field(unique=True, max_length=64)
    expires_at: datetime | None = moment(nullable=False)
    used_at: datetime | None = moment()
    revoked_at: datetime | None = moment()
