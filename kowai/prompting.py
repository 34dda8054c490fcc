"""The prompt that an answer is asked for with: made here, so that what is quoted beforehand is what is sent."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import dspy

from kowai.canaries import canary_of, marked
from kowai.conversations import transcript
from kowai.personas import Persona
from kowai.preferences import wishes
from kowai.signatures import told_to
from kowai.types import Preferences, Turn
from kowai.versions import PromptSetting


def told(
    persona: Persona, preferences: Preferences, tenant_id: UUID, *, question: str, history: Sequence[Turn] = ()
) -> dict[str, Any]:
    """Return what a model is told besides the passages: who it is, what was said before and what is asked."""
    voice = marked(f"{persona.voice()} {wishes(preferences)}".strip(), canary_of(tenant_id))
    return {"voice": voice, "conversation": transcript(history), "question": question}


def prompted(inputs: Mapping[str, Any], passages: str, prompt: PromptSetting) -> list[str]:
    """Return the texts of the messages as DSPy makes them of inputs and quoted passages."""
    return texts_of(told_to(prompt.instructions), {**inputs, "passages": passages}, prompt.demos)


def texts_of(
    signature: type[dspy.Signature], inputs: Mapping[str, Any], demos: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """Return the texts of the messages by which a signature is asked."""
    shown = [dict(demo) for demo in demos]
    return [str(message["content"]) for message in dspy.ChatAdapter().format(signature, shown, dict(inputs))]
