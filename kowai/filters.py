"""Which documents a search may use."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AliasChoices, BeforeValidator, Field, ValidationError, field_validator

from kowai.errors import InvalidInput
from kowai.storable import check_storable
from kowai.types import ContentType, Value


class FilterInvalid(InvalidInput):
    code = "filter_invalid"


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | UUID) else value


def _either(singular: str) -> Any:
    return Field(default=(), validation_alias=AliasChoices(f"{singular}s", singular))


Uuids = Annotated[tuple[UUID, ...], BeforeValidator(_several)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Filters(Value):
    """Admit documents for which everything given holds; a list admits any of its members."""

    document_ids: Uuids = _either("document_id")
    external_ids: Texts = _either("external_id")
    media_types: Texts = _either("media_type")
    content_types: Annotated[tuple[ContentType, ...], BeforeValidator(_several)] = _either("content_type")
    languages: Texts = _either("language")
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])
    created_since: datetime | None = None
    created_until: datetime | None = None
    updated_since: datetime | None = None
    updated_until: datetime | None = None
    as_of: datetime | None = Field(default=None, description="Search what was known then; the day's end is not meant.")

    @field_validator("created_since", "created_until", "updated_since", "updated_until", "as_of")
    @classmethod
    def _aware(cls, moment: datetime | None) -> datetime | None:
        return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def checked_filters(given: Mapping[str, Any]) -> Filters:
    """Return the filters that a client wrote. Raises NotStorable, and FilterInvalid, which names what is known."""
    check_storable(given)
    try:
        return Filters.model_validate(dict(given))
    except ValidationError as error:
        wrong = error.errors()[0]
        name = str(wrong["loc"][0])
        raise FilterInvalid(
            f"The filter '{name}' cannot be used: {wrong['msg'].lower()}. Known filters: "
            f"{', '.join(Filters.model_fields)}; what a document's own metadata says belongs under 'metadata'."
        ) from error


LISTS = ("document_ids", "external_ids", "media_types", "content_types", "languages")
CONDITIONS = {
    "document_ids": "d.id = any(%(document_ids)s::uuid[])",
    "external_ids": "d.external_id = any(%(external_ids)s::text[])",
    "media_types": "d.media_type = any(%(media_types)s::text[])",
    "content_types": "d.content_type = any(%(content_types)s::text[])",
    "languages": "d.language = any(%(languages)s::text[])",
    "metadata": "d.details @> %(metadata)s::jsonb",
    "created_since": "d.created_at >= %(created_since)s",
    "created_until": "d.created_at < %(created_until)s",
    "updated_since": "d.updated_at >= %(updated_since)s",
    "updated_until": "d.updated_at < %(updated_until)s",
}


def condition(filters: Filters) -> tuple[str, dict[str, Any]]:
    """Return the SQL condition on document `d` and its parameters; the condition is empty when all may be used."""
    given = {name: value for name, value in filters if value and name in CONDITIONS}
    lists = {name: list(getattr(filters, name)) for name in LISTS}
    parameters = given | lists | {"metadata": json.dumps(filters.metadata)}
    return " and ".join(CONDITIONS[name] for name in given), {name: parameters[name] for name in given}
