"""What a process needs to boot: read by settings(), never at import."""

import re
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


class Settings(BaseSettings):
    """Read KOWAI_* variables; what an operator may change while running lives in Prefect blocks instead."""

    model_config = SettingsConfigDict(env_prefix="KOWAI_", frozen=True, extra="ignore")

    state: Path = Field(Path(".kowai"), description="The folder that holds database, secrets, originals and logs.")
    host: str = Field("127.0.0.1", description="The address the shim listens on.")
    port: int = Field(8100, ge=1, le=65535, description="The shim's port.")
    prefect_port: int = Field(4200, ge=1, le=65535, description="The Prefect server's port.")
    database_url: SecretStr | None = Field(None, description="Your own PostgreSQL with pgvector, as its owner.")
    app_database_url: SecretStr | None = Field(None, description="The same database as a role that obeys policies.")
    redis_url: SecretStr | None = Field(None, description="A Redis that several shims share; only a cache.")
    originals: Literal["folder", "appwrite"] = Field("folder", description="Where originals and results are kept.")
    work_pool: str = Field("laptop", description="The work pool that runs deployments.")
    max_document_bytes: int = Field(100_000_000, gt=0, description="The largest document that is read, in bytes.")
    max_body_bytes: int = Field(1_000_000_000, gt=0, description="The largest upload, all its files together.")
    reader_memory_bytes: int = Field(
        512 << 20, ge=256 << 20, description="Address space of one reading child, in bytes."
    )
    chunk_size: int = Field(1000, ge=100, le=20_000, description="Characters a chunk has at most.")
    chunk_overlap: int = Field(200, ge=0, le=5_000, description="Characters neighbouring chunks share at most.")
    batch_at_once: int = Field(8, ge=1, le=100, description="Batch items answered at once, all tenants together.")
    requests_per_minute: int = Field(600, ge=1, le=60_000, description="Requests of one key or user a minute.")
    tenant_requests_per_minute: int = Field(6_000, ge=1, le=60_000, description="Requests of one tenant a minute.")
    streams: int = Field(20, ge=1, description="Answers streamed at once to one key or user.")
    tenant_streams: int = Field(200, ge=1, description="Answers streamed at once to one tenant.")
    export_days: int = Field(7, ge=1, le=3650, description="For how many days a tenant's export can be fetched.")
    keep_versions: int | None = Field(None, ge=1, description="How many versions of a document are kept; unset: all.")
    keep_days: int | None = Field(None, ge=1, description="Days a replaced version is kept; unset: for ever.")
    token_key: SecretStr | None = Field(None, description="What signs access tokens; default: a secret of the state.")
    tls_certificate: Path | None = Field(None, description="The certificate chain the shim speaks TLS with, PEM.")
    tls_key: Path | None = Field(None, description="That certificate's private key, PEM, without a password.")
    cors_origins: str = Field("", description="Sites whose scripts may call the API, with commas; none by default.")
    source_folders: str = Field("", description="Folders that sources may lie in, parted like PATH; empty: any.")
    log_format: Literal["json", "console"] = Field("json", description="How shim and worker write their own log lines.")
    allow_private_urls: bool = Field(False, description="Let ingestion fetch from private and loopback addresses.")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        """Refuse a wildcard and whatever no browser would send as its Origin (RFC 6454)."""
        for origin in _listed(value):
            if not ORIGIN.fullmatch(origin):
                raise ValueError(f"'{origin}' is no origin such as https://app.example.org")
        return value

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(_listed(self.cors_origins))

    @property
    def secrets(self) -> Path:
        return self.state.expanduser().absolute() / "secrets"

    @property
    def bucket(self) -> Path:
        return self.state.expanduser().absolute() / "bucket"

    @property
    def models(self) -> Path:
        return self.state.expanduser().absolute() / "models"


def _listed(value: str) -> list[str]:
    return [item.strip() for item in value.split(",") if item.strip()]


@cache
def settings() -> Settings:
    return Settings()  # pyright: ignore[reportCallIssue] -- every field has a default
