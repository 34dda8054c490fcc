"""E-mail (RFC 5322, MIME): who wrote what to whom, and the names of what was attached."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage

from kowai.decoding import canonical, is_binary
from kowai.errors import Corrupt, NotText
from kowai.loaders import Limits, Loader
from kowai.loaders.html import written
from kowai.types import LoadedDocument

SHOWN = ("From", "To", "Cc", "Date", "Subject")
MAX_PARTS = 1_000


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    if is_binary(data):
        raise NotText(f"{name} holds binary data rather than text.")
    try:
        return _document(message_from_bytes(data, policy=policy.default), name)
    except (ValueError, LookupError, AttributeError, TypeError, IndexError, KeyError) as error:
        # The standard library trips over some headers in as many ways as there are kinds of errors.
        raise Corrupt(f"{name} is damaged: export it again.", operator=repr(error)[:500]) from error


def _document(message: EmailMessage, name: str) -> LoadedDocument:
    said = {header: canonical(" ".join(str(message[header]).split())) for header in SHOWN if message[header]}
    attached = list(_attachments(message))
    lines = [f"{header}: {value}" for header, value in said.items()]
    lines += [f"Attachment: {what}" for what in attached]
    text = "\n".join(lines) + "\n\n" + _body(message, name)
    metadata = {header.lower(): value for header, value in said.items() if header != "Subject"}
    return LoadedDocument(
        text=text.strip("\n"),
        media_type="message/rfc822",
        content_type="conversation",
        title=said.get("Subject"),
        metadata=metadata | ({"attachments": attached} if attached else {}),
    )


def _body(message: EmailMessage, name: str) -> str:
    body = message.get_body(("plain", "html"))
    if body is None:
        return ""
    content = body.get_content()
    if not isinstance(content, str):
        return ""
    if body.get_content_subtype() != "html":
        return canonical(content).strip()
    return written(content.encode(errors="replace"), name, "utf-8").finish()[0]


def _attachments(message: EmailMessage) -> Iterator[str]:
    """Yield the name of each attachment with its media type."""
    for number, part in enumerate(message.walk()):
        if number > MAX_PARTS:
            return
        named = part.get_filename()
        if named or part.get_content_disposition() == "attachment":
            yield f"{canonical(' '.join((named or 'unnamed').split()))} ({part.get_content_type()})"


EMAIL = Loader("an e-mail", frozenset({".eml"}), frozenset({"message/rfc822"}), load)
