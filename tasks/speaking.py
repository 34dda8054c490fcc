"""DSPy speaking through an engine of ours: whole programs inside a block, or one call by itself."""

import asyncio
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dspy
from dspy.clients.errors import error_boundary
from dspy.lm15 import request_from_openai_chat

from blocks.engines import BlockingEngine
from kowai.signatures import PlainSpoken


class SampledLM(dspy.LM):
    """Give every roll-out that an optimiser asks for a seed, which makes it a request of its own."""

    def copy(self, **kwargs: Any) -> "SampledLM":
        rollout = kwargs.get("rollout_id")
        seeded = {"seed": rollout} if rollout else {}
        return cast(SampledLM, super().copy(**kwargs, **seeded))


@contextmanager
def speaking(engine: Any, role: str, plain: str | None = None) -> Generator[None]:
    """Let every DSPy program inside the block speak through `engine`; a reply without form is the field `plain`."""
    blocking = BlockingEngine(engine, asyncio.get_running_loop())
    model = SampledLM(_name(role), engine=blocking, async_engine=engine, cache=False, num_retries=0)
    with dspy.context(lm=model, adapter=PlainSpoken(plain), disable_history=True):
        yield


async def say(
    engine: Any,
    signature: type[dspy.Signature],
    inputs: Mapping[str, Any],
    *,
    role: str,
    plain: str | None = None,
    demos: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the fields of the reply to what `dspy.Predict` would ask. Raises what it would.

    Its own way also keeps books for programs and prices, by two visits to another thread a call.
    """
    adapter, model = PlainSpoken(plain), _name(role)
    messages = adapter.format(signature, [dict(demo) for demo in demos], dict(inputs))
    with error_boundary(model, unexpected=True):
        response = await engine.complete(request_from_openai_chat({"model": model, "messages": messages}))
    said = "".join(part.text for part in response.message.parts if part.type == "text")
    return cast("dict[str, Any]", dspy.Prediction(**adapter.parse(signature, said)).toDict())  # values, not models


def _name(role: str) -> str:
    return f"kowai/{role}"
