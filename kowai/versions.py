"""Versions of what answers: the settings that a slot may hold, and what they make of a persona's answer."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic import Field, ValidationError

from kowai.errors import InvalidInput
from kowai.extraction import LEAST_CONFIDENCE
from kowai.personas import Persona, personas
from kowai.suites import fault
from kowai.types import Value

PASSAGES, MOST_PASSAGES = 8, 50


class BadVersion(InvalidInput):
    code = "bad_version"


class PersonaSetting(Value):
    """Change how a persona speaks; what is None stays as its file says."""

    summary: str | None = None
    instructions: str | None = None
    style: str | None = None
    declines: str | None = None
    role: str | None = None


class PromptSetting(Value):
    """Change what a model is told to do with the passages, and show it examples: inputs and outputs by their names."""

    instructions: str | None = Field(default=None, min_length=1, max_length=20_000)
    demos: tuple[dict[str, Any], ...] = Field(default=(), max_length=50)


class ModelSetting(Value):
    """Ask this target of the language-model block first; the others remain its fallbacks."""

    target: str = Field(min_length=1, max_length=200)


class RetrievalSetting(Value):
    """Change how many passages are read, and how sure an extractive answer has to be not to be an abstention.

    A `reranker` is the name of one in the language-model block; none leaves the order of the search.
    """

    passages: int = Field(default=PASSAGES, ge=1, le=MOST_PASSAGES)
    least_confidence: float = Field(default=LEAST_CONFIDENCE, ge=0, le=1)
    reranker: str | None = Field(default=None, min_length=1, max_length=200)


class SpaceSetting(Value):
    """Embed documents and questions by this embedder block: its space becomes the current one, for all tenants."""

    embedder: str = Field(min_length=1, max_length=100)


SPACE = "space"
KINDS: dict[str, type[Value]] = {
    "persona": PersonaSetting,
    "prompt": PromptSetting,
    "model": ModelSetting,
    "retrieval": RetrievalSetting,
    SPACE: SpaceSetting,
}
OF_PERSONA = ("persona", "prompt")


class Answering(Value):
    """Hold everything that settings decide about one answer.

    `embedder` makes the vectors of a space on trial; None is the space that is current.
    """

    persona: Persona
    prompt: PromptSetting = PromptSetting()
    target: str | None = None
    retrieval: RetrievalSetting = RetrievalSetting()
    embedder: str | None = None

    @property
    def version(self) -> str:
        """Return the persona's version, or another one where the prompt is not the shipped one."""
        if self.prompt == PromptSetting():
            return self.persona.version
        return sha256(f"{self.persona.version} {digest(self.prompt)}".encode()).hexdigest()[:16]


def checked(slot: str, content: Mapping[str, Any]) -> Value:
    """Return the setting for a slot such as persona:assistant, prompt:assistant, model, retrieval or space.

    Raises BadVersion, which names the field.
    """
    kind, _, name = slot.partition(":")
    if kind not in KINDS:
        raise BadVersion(f"There is no kind of setting '{kind}'; choose one of {', '.join(KINDS)}.")
    if (kind in OF_PERSONA) != bool(name) or (name and name not in personas()):
        wanted = f"{kind}:PERSONA, one of {', '.join(personas())}" if kind in OF_PERSONA else f"'{kind}' alone"
        raise BadVersion(f"The slot '{slot}' is not known: write {wanted}.")
    try:
        setting = KINDS[kind].model_validate(content)
    except ValidationError as error:
        raise BadVersion(f"This is no setting for {slot}: {fault(error)}.") from error
    if not setting.model_dump(exclude_defaults=True):
        raise BadVersion(f"This setting for {slot} changes nothing.")
    return setting


def digest(setting: Value) -> str:
    return sha256(setting.model_dump_json().encode()).hexdigest()


def slots_of(persona: str) -> tuple[str, ...]:
    """Return the slots that have a say in what this persona answers."""
    return (f"persona:{persona}", f"prompt:{persona}", "model", "retrieval", SPACE)


def answering(persona: str, settings: Mapping[str, Value]) -> Answering:
    """Return what the settings, by slot, make of the persona that its file describes."""
    voice, prompt, model, retrieval, space = (settings.get(slot) for slot in slots_of(persona))
    changes = voice.model_dump(exclude_none=True) if voice else {}
    found: dict[str, Any] = {"persona": personas()[persona].model_copy(update=changes)}
    found |= {"prompt": prompt} if isinstance(prompt, PromptSetting) else {}
    found |= {"target": model.target} if isinstance(model, ModelSetting) else {}
    found |= {"retrieval": retrieval} if isinstance(retrieval, RetrievalSetting) else {}
    found |= {"embedder": space.embedder} if isinstance(space, SpaceSetting) else {}
    return Answering.model_validate(found)
