"""Any OpenFeature client reads the database's flags, each tenant its own."""

from uuid import UUID

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from blocks.database import Database
from kowai.errors import NotFound
from kowai.flags import Flag
from tasks import flags
from tasks.flag_provider import DatabaseProvider
from tasks.flags import flags_of, list_flags, remove_flag, save_flag

BETA = {"name": "beta", "variants": {"on": True, "off": False}, "default": "off"}
ADMINS = {"roles": ["admin"], "shares": {"on": 100}}


@pytest.fixture
def client() -> OpenFeatureClient:
    flags._known.clear()
    api.set_provider(DatabaseProvider(), domain="kowai")
    return api.get_client(domain="kowai")


def caller(tenant: UUID, role: str = "viewer") -> EvaluationContext:
    return EvaluationContext("ada", {"tenant": str(tenant), "role": role})


async def test_a_client_gets_the_value_for_its_role_and_why(
    store: Database, tenant: UUID, other_tenant: UUID, client: OpenFeatureClient
) -> None:
    await save_flag(Flag.model_validate(BETA | {"rules": [ADMINS]}), tenant)
    assert await client.get_boolean_value_async("beta", False, caller(tenant, "admin"))
    details = await client.get_boolean_details_async("beta", True, caller(tenant))
    assert (details.value, details.variant, details.reason) == (False, "off", "DEFAULT")
    elsewhere = await client.get_boolean_details_async("beta", True, caller(other_tenant, "admin"))
    assert (elsewhere.value, elsewhere.error_code) == (True, ErrorCode.FLAG_NOT_FOUND)


async def test_what_was_read_lately_is_known_without_waiting(
    store: Database, tenant: UUID, client: OpenFeatureClient
) -> None:
    await save_flag(Flag.model_validate(BETA | {"default": "on"}), tenant)
    unread = client.get_boolean_details("beta", False, caller(tenant))
    assert (unread.value, unread.error_code) == (False, ErrorCode.PROVIDER_NOT_READY)
    await client.get_boolean_value_async("beta", False, caller(tenant))
    await store.close()
    assert client.get_boolean_value("beta", False, caller(tenant))


async def test_a_changed_flag_is_another_at_once_and_a_removed_one_is_gone(
    store: Database, tenant: UUID, client: OpenFeatureClient
) -> None:
    for default, expected in (("off", False), ("on", True)):
        await save_flag(Flag.model_validate(BETA | {"default": default}), tenant)
        assert await client.get_boolean_value_async("beta", not expected, caller(tenant)) is expected
    await remove_flag("beta", tenant)
    assert not await client.get_boolean_value_async("beta", False, caller(tenant))
    with pytest.raises(NotFound):
        await remove_flag("beta", tenant)


async def test_a_flag_that_changes_while_it_is_read_is_read_again(
    store: Database, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(tenant_id: UUID) -> dict[str, Flag]:
        found = await list_flags(tenant_id)
        await save_flag(Flag.model_validate(BETA), tenant_id)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(flags, "list_flags", slow)
        assert await flags_of(tenant) == {}
    assert list(await flags_of(tenant)) == ["beta"]


async def test_a_value_of_another_type_and_a_context_without_tenant_are_the_default(
    store: Database, tenant: UUID, client: OpenFeatureClient
) -> None:
    size = {"name": "size", "variants": {"big": 40, "odd": {"a": 1}}, "default": "big"}
    await save_flag(Flag.model_validate(size), tenant)
    assert await client.get_integer_value_async("size", 1, caller(tenant)) == 40
    assert await client.get_float_value_async("size", 1.0, caller(tenant)) == 40
    wrong = await client.get_string_details_async("size", "small", caller(tenant))
    assert (wrong.value, wrong.error_code) == ("small", ErrorCode.TYPE_MISMATCH)
    lost = await client.get_integer_details_async("size", 1, EvaluationContext("ada"))
    assert (lost.value, lost.error_code) == (1, ErrorCode.INVALID_CONTEXT)
