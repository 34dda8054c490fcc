"""Prompt injection: orders to the model in a question, and orders to the reader hidden in a document."""

from kowai.guards import Content, Guard, Sight
from kowai.injection.detection import seen_in_document, seen_in_question


def look(content: Content) -> list[Sight]:
    seen = seen_in_document if content.stage == "document" else seen_in_question
    return [Sight(*each) for each in seen(content.text)]


INJECTION = Guard(
    summary="Text that gives a model orders about its own orders, and orders to the reader hidden in documents.",
    defaults={"input": "refuse", "document": "quarantine"},
    look=look,
    sentence="This reads like an attempt to give the model orders of its own: ask it as a plain question.",
)
