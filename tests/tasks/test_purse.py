"""A purse counts what may be billed for a model that nobody heard of again."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import dspy
import pytest

from kowai.suites import Limits
from tasks import metered
from tasks.limited_engine import Purse
from tests.model_server import Act, ModelServer


@pytest.mark.parametrize(("silent", "act"), [(True, Act()), (False, Act(usage=None))])
async def test_what_was_asked_and_not_accounted_for_empties_the_purse(
    books: str,
    tenant: UUID,
    use: Callable[..., Any],
    model_server: ModelServer,
    second_server: ModelServer,
    silent: bool,
    act: Act,
) -> None:
    second_server.default, model_server.default = Act(cut=True), act
    answering = model_server.target(price="10", max_output_tokens=50)
    use(*([second_server.target("silent", price="100", max_output_tokens=50)] if silent else []), answering)
    purse = Purse(Limits(dollars=Decimal("0.004")))
    async with metered.spending(tenant, purse=purse):
        await dspy.Predict("country -> answer").acall(country="France")
        with pytest.raises(Exception, match="budget is used up"):
            await dspy.Predict("country -> answer").acall(country="Spain")
    assert purse.is_empty
    assert len(model_server.asked) == 1
