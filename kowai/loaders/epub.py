"""EPUB: a book's chapters in their reading order, each read as the page of HTML it is (EPUB 3.3)."""

from kowai.errors import Corrupt, Encrypted
from kowai.loaders import Limits, Loader
from kowai.loaders.html import written
from kowai.parts import Parts, Xml, attribute, child, resolved, tag
from kowai.prose import bound
from kowai.types import LoadedDocument

MEDIA_TYPE = "application/epub+zip"
LOCKS = ("META-INF/rights.xml", "META-INF/sinf.xml")
PAGES = frozenset(("application/xhtml+xml", "text/html"))


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    parts = Parts(data, name, limits)
    if any(lock in parts.names for lock in LOCKS):
        raise Encrypted(f"{name} is locked by digital rights management: it cannot be read without its shop.")
    place = attribute(child(parts.xml("META-INF/container.xml"), "rootfiles", "rootfile"), "full-path") or ""
    package = parts.xml(place)
    if package is None:
        raise Corrupt(f"{name} is damaged: it has no table of its parts. Export or download it again.")
    chapters = [parts.read(resolved(place, chapter)) for chapter in _spine(package)]
    text, headings, _ = bound([written(chapter, name, charset) for chapter in chapters if chapter])
    said = {tag(node): " ".join(node.text.split()) for node in _described(package) if node.text}
    language = said.get("language", "").partition("-")[0].lower()
    metadata = {key: said[key] for key in ("creator", "publisher", "date", "identifier", "subject") if key in said}
    return LoadedDocument(
        text=text,
        media_type=MEDIA_TYPE,
        language=language if 2 <= len(language) <= 3 and language.isascii() and language.isalpha() else None,
        title=said.get("title"),
        headings=headings,
        metadata=metadata,
    )


def _spine(package: Xml) -> list[str]:
    """Return the places of the pages in their reading order."""
    items = child(package, "manifest")
    places = {
        item.get("id"): item.get("href", "")
        for item in (() if items is None else items)
        if item.get("media-type") in PAGES
    }
    order = child(package, "spine")
    return [places[item.get("idref")] for item in (() if order is None else order) if item.get("idref") in places]


def _described(package: Xml) -> list[Xml]:
    metadata = child(package, "metadata")
    return [] if metadata is None else list(metadata)


EPUB = Loader("an EPUB book", frozenset({".epub"}), frozenset({MEDIA_TYPE}), load)
