"""The voices: one file each, found by `discover`."""

from functools import cache
from hashlib import sha256

from kowai.registry import discover
from kowai.types import Value


class Persona(Value):
    """Describe a voice: what it is for, how it is told to speak, what it declines and which model role it wants."""

    summary: str
    instructions: str
    style: str
    declines: str
    role: str = "careful"
    examples: tuple[str, ...] = ()

    def voice(self) -> str:
        """Return what a model is told about who it is."""
        return f"{self.summary} {self.instructions} Style: {self.style} Decline: {self.declines}"

    @property
    def version(self) -> str:
        """Return a name for exactly these fields: 16 hexadecimal digits of their SHA-256."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]


AUTO = "auto"


@cache
def personas() -> dict[str, Persona]:
    """Return every persona by name, in the order of their files."""
    return discover("kowai.personas", Persona)


def roster() -> str:
    """Return the personas as a model reads them, one a line: its name and what it is for."""
    return "\n".join(f"{name}: {persona.summary}" for name, persona in personas().items())


def askable() -> list[str]:
    """Return whom a question may be put to: a persona, or 'auto', which chooses one by what is asked."""
    return [AUTO, *personas()]
