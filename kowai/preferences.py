"""How a caller likes to be answered."""

from kowai.types import Length, Preferences

LENGTHS: dict[Length, str] = {
    "short": "Answer in one or two sentences.",
    "normal": "Answer in one or two paragraphs at most.",
    "long": "Answer in detail, with everything the passages say about it.",
}


def wishes(preferences: Preferences) -> str:
    """Say to a model what the caller prefers; empty when that is nothing."""
    language = preferences.language and f"Answer in this language: {preferences.language}."
    tone = preferences.tone and f"Keep a {preferences.tone} tone."
    return " ".join(filter(None, (tone, language, preferences.length and LENGTHS[preferences.length])))
