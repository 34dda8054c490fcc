"""An answer while it is being written: which of a model's words may be shown before their citations are checked."""

import re

from kowai.claims import MARKER
from kowai.sentences import sentence_spans

HEADER = re.compile(r"^[ \t]*\[\[ ## (\w+) ## \]\]", re.MULTILINE)
OPENING = "[[ ## "
# The tail that the next piece may turn into a marker or into a field's header.
UNSETTLED = re.compile(r"\s*(?:\[(?:\[[\w #]{0,60}\]?|\d{0,3})?)?\Z")


def showable(reply: str, field: str) -> str:
    """Return the beginning of the field's text that nothing that follows can change, without its markers.

    `reply` is the beginning of a reply in DSPy's chat format; one without any header is all text. What is returned
    for a longer beginning starts with what is returned for a shorter one. A marker says nothing until it is checked.
    """
    text = _field_text(reply, field)
    return MARKER.sub("", UNSETTLED.sub("", text)).lstrip()


def _field_text(reply: str, field: str) -> str:
    begun = reply.lstrip()
    if not (begun.startswith(OPENING) or OPENING.startswith(begun)):
        following = HEADER.search(reply)
        return reply[: following.start()] if following else reply
    headers = list(HEADER.finditer(reply))
    for place, header in enumerate(headers):
        if header[1] == field:
            end = headers[place + 1].start() if place + 1 < len(headers) else len(reply)
            return reply[header.end() : end]
    return ""


def struck_out(told: str, answer: str) -> list[str]:
    """Return the sentences that were told while the answer was written and are not in the checked one."""
    bare, kept = MARKER.sub("", told), " ".join(MARKER.sub("", answer).split())
    sentences = [" ".join(bare[span.start : span.end].split()) for span in sentence_spans(bare)]
    return [sentence for sentence in sentences if sentence not in kept]
