"""Personal data and secrets: what names a person, a place or an account, or opens a door."""

from kowai.guards import Content, Guard, Sight
from kowai.personal.detection import detect


def look(content: Content) -> list[Sight]:
    return [Sight(*found) for found in detect(content.text)]


PERSONAL_DATA = Guard(
    summary="Personal data and secrets; masked, a model reads <EMAIL_1> and its reply is restored.",
    defaults={"input": "mask", "document": "off", "output": "note"},
    look=look,
    sentence="This text holds personal data or secrets, which are not allowed here: leave them out.",
)
