"""The OpenFeature provider: any OpenFeature client of this process reads the database's flags through it.

The context names the tenant and maybe the role in its attributes; its targeting key is the caller.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, InvalidContextError, ProviderNotReadyError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider
from openfeature.provider.metadata import Metadata

from kowai.flags import Flag, resolve
from tasks.flags import flags_of, known_flags

Context = EvaluationContext | None
Details = FlagResolutionDetails[Any]
OBJECT = (dict, list)


class DatabaseProvider(AbstractProvider):
    """Resolve flags; the blocking methods know only what an awaited one, or the shim, has read a moment ago."""

    def get_metadata(self) -> Metadata:
        return Metadata(name="kowai")

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: Context = None
    ) -> Details:
        return _known(flag_key, evaluation_context, (bool,))

    def resolve_string_details(self, flag_key: str, default_value: str, evaluation_context: Context = None) -> Details:
        return _known(flag_key, evaluation_context, (str,))

    def resolve_integer_details(self, flag_key: str, default_value: int, evaluation_context: Context = None) -> Details:
        return _known(flag_key, evaluation_context, (int,))

    def resolve_float_details(self, flag_key: str, default_value: float, evaluation_context: Context = None) -> Details:
        return _known(flag_key, evaluation_context, (float, int))

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: Context = None,
    ) -> Details:
        return _known(flag_key, evaluation_context, OBJECT)

    async def resolve_boolean_details_async(
        self, flag_key: str, default_value: bool, evaluation_context: Context = None
    ) -> Details:
        return await _read(flag_key, evaluation_context, (bool,))

    async def resolve_string_details_async(
        self, flag_key: str, default_value: str, evaluation_context: Context = None
    ) -> Details:
        return await _read(flag_key, evaluation_context, (str,))

    async def resolve_integer_details_async(
        self, flag_key: str, default_value: int, evaluation_context: Context = None
    ) -> Details:
        return await _read(flag_key, evaluation_context, (int,))

    async def resolve_float_details_async(
        self, flag_key: str, default_value: float, evaluation_context: Context = None
    ) -> Details:
        return await _read(flag_key, evaluation_context, (float, int))

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: Context = None,
    ) -> Details:
        return await _read(flag_key, evaluation_context, OBJECT)


async def _read(name: str, context: Context, kinds: tuple[type, ...]) -> Details:
    return _details(await flags_of(_tenant(context)), name, context, kinds)


def _known(name: str, context: Context, kinds: tuple[type, ...]) -> Details:
    flags = known_flags(_tenant(context))
    if flags is None:
        raise ProviderNotReadyError("This tenant's flags have not been read lately: resolve asynchronously.")
    return _details(flags, name, context, kinds)


def _tenant(context: Context) -> UUID:
    named = context.attributes.get("tenant") if context else None
    try:
        return UUID(str(named))
    except ValueError as error:
        raise InvalidContextError("The context's attribute 'tenant' has to be the tenant's id.") from error


def _details(flags: Mapping[str, Flag], name: str, context: Context, kinds: tuple[type, ...]) -> Details:
    if name not in flags:
        raise FlagNotFoundError(f"There is no flag '{name}'.")
    unit, role = (context.targeting_key or "", context.attributes.get("role")) if context else ("", None)
    found = resolve(flags[name], unit, str(role) if role else None)
    if not isinstance(found.value, kinds) or (isinstance(found.value, bool) and bool not in kinds):
        raise TypeMismatchError(f"The flag '{name}' is {found.value!r} for this caller.")
    return FlagResolutionDetails(value=found.value, reason=found.reason, variant=found.variant)
