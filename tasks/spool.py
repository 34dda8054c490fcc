"""Replies on their way into the database: on disk first, so that a process that dies then has not paid in vain."""

import os
from base64 import b64decode
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from kowai.settings import settings
from kowai.types import Usage, Value


class Settlement(Value):
    """Hold what a call brought and cost; `charged` counts against the limit even where `cost` is unknown.

    `vectors` are those of an embedder in base64, by the hashes that they are kept by.
    """

    call_id: UUID
    tenant_id: UUID
    state: Literal["settled", "void"] = "settled"
    cause: str | None = None
    reply: dict[str, Any] | None
    target: str
    model: str
    fallback: bool
    usage: Usage
    cost: Decimal | None
    charged: Decimal
    vectors: dict[str, str] = Field(default_factory=dict[str, str])

    def bought(self) -> dict[str, Any]:
        return {"hashes": [*self.vectors], "vectors": [*map(b64decode, self.vectors.values())]}


def keep(settlement: Settlement) -> None:
    """Write the settlement where this machine's next process finds it; a disk that is full must not lose the reply."""
    path = _path(settlement.tenant_id, settlement.call_id)
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(settlement.model_dump_json())
        draft.replace(path)


def find(tenant_id: UUID, call_id: UUID) -> Settlement | None:
    try:
        return Settlement.model_validate_json(_path(tenant_id, call_id).read_bytes())
    except (OSError, ValueError):
        return None


def left(tenant_id: UUID) -> list[Settlement]:
    """Return the settlements that wait on this machine."""
    calls = [UUID(path.stem) for path in folder(tenant_id).glob("*.json")]
    return [settlement for call in calls if (settlement := find(tenant_id, call))]


def drop(settlement: Settlement) -> None:
    with suppress(OSError):
        _path(settlement.tenant_id, settlement.call_id).unlink(missing_ok=True)


def folder(tenant_id: UUID) -> Path:
    """Return the folder that holds a tenant's settlements on this machine."""
    return settings().state.expanduser().absolute() / "replies" / str(tenant_id)


def _path(tenant_id: UUID, call_id: UUID) -> Path:
    return folder(tenant_id) / f"{call_id}.json"
