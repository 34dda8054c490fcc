"""One call by itself asks and reads what DSPy's own program would."""

from collections.abc import Mapping, Sequence
from typing import Any

import dspy
import pytest
from dspy import lm15
from dspy.utils.exceptions import AdapterParseError, LMError

from blocks.engines import Capabilities
from kowai.errors import BudgetExhausted
from kowai.signatures import AnswerFromPassages
from tasks.speaking import say, speaking

SAID = "[[ ## found ## ]]\nTrue\n\n[[ ## answer ## ]]\nSo it is [1].\n\n[[ ## completed ## ]]"
INPUTS = {"voice": "brief", "conversation": "", "passages": '<passage number="1">', "question": "Is it so?"}
WHOLE = {**INPUTS, "found": False, "answer": ""}
PARTIAL = {"question": "Is it not?", "answer": "It is [1]."}


class Parrot(Capabilities):
    """Say the same to everything and remember what was asked."""

    def __init__(self, said: str) -> None:
        self.asked, self._said = list[lm15.Request](), said

    async def complete(self, request: lm15.Request) -> lm15.Response:
        self.asked.append(request)
        told = lm15.Message.assistant(self._said)
        return lm15.Response(id=None, model="parrot", message=told, finish_reason="stop", usage=lm15.Usage())


@pytest.mark.parametrize("demos", [(), (WHOLE,), (PARTIAL, WHOLE)])
@pytest.mark.parametrize("said", [SAID, "It is so, plainly."])
async def test_it_asks_and_reads_what_a_program_would(demos: Sequence[Mapping[str, Any]], said: str) -> None:
    parrot = Parrot(said)
    with speaking(parrot, "careful", "answer"):
        program: Any = dspy.Predict(AnswerFromPassages)
        program.demos = [dspy.Example(**demo) for demo in demos]
        prediction = await program.acall(**INPUTS)
    fields = await say(parrot, AnswerFromPassages, INPUTS, role="careful", plain="answer", demos=demos)
    assert fields == prediction.toDict()
    assert parrot.asked[0] == parrot.asked[1]


@pytest.mark.parametrize("said", ["", " ", "without a form"])
async def test_a_reply_without_form_cannot_be_read(said: str) -> None:
    with pytest.raises(AdapterParseError):
        await say(Parrot(said), AnswerFromPassages, INPUTS, role="careful")


async def test_what_the_engine_raises_comes_as_an_error_of_dspy() -> None:
    class Broke(Parrot):
        async def complete(self, request: lm15.Request) -> lm15.Response:
            raise BudgetExhausted("Nothing is left.")

    with pytest.raises(LMError) as raised:
        await say(Broke(""), AnswerFromPassages, INPUTS, role="careful")
    assert isinstance(raised.value.__cause__, BudgetExhausted)
