"""Write the smallest Office, OpenDocument and EPUB files there can be."""

import io
import zipfile

RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
KINDS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
P = f'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" {A} xmlns:r="{KINDS}"'
ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name if name != "draw" else "drawing"}:1.0"'
    for name in ("office", "text", "table", "draw", "presentation", "meta")
)


def packed(parts: dict[str, str | bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def related(**targets: str) -> str:
    """Write relations named by their ids; what comes before a number is their kind."""
    links = "".join(
        f'<Relationship Id="{name}" Type="{KINDS}/{name.rstrip("0123456789")}" Target="{target}"/>'
        for name, target in targets.items()
    )
    return f'<Relationships xmlns="{RELS}">{links}</Relationships>'


def core(title: str) -> str:
    return f'<c:coreProperties xmlns:c="c" xmlns:dc="dc"><dc:title>{title}</dc:title></c:coreProperties>'


def docx(body: str, **parts: str) -> bytes:
    """Write a Word file with this body; other parts are named by their kind."""
    written: dict[str, str | bytes] = {
        "_rels/.rels": related(officeDocument="word/document.xml"),
        "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
        "word/_rels/document.xml.rels": related(**{kind: f"{kind}.xml" for kind in parts}),
    }
    return packed(written | {f"word/{kind}.xml": content for kind, content in parts.items()})


def paragraph(text: str, properties: str = "") -> str:
    return f'<w:p><w:pPr>{properties}</w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def shape(text: str, kind: str) -> str:
    place = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>'
    return f"<p:sp>{place}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def slide(shapes: str, kind: str = "sld") -> str:
    return f"<p:{kind} {P}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:{kind}>"


def pptx(*slides: str, **more: str | bytes) -> bytes:
    """Write a PowerPoint file with these slides; `more` holds other parts, `__` in their names is a slash."""
    listed = "".join(f'<p:sldId id="{number}" r:id="slide{number}"/>' for number in range(1, len(slides) + 1))
    parts: dict[str, str | bytes] = {
        "_rels/.rels": related(officeDocument="ppt/presentation.xml"),
        "ppt/presentation.xml": f"<p:presentation {P}><p:sldIdLst>{listed}</p:sldIdLst></p:presentation>",
        "ppt/_rels/presentation.xml.rels": related(
            **{f"slide{number}": f"slides/slide{number}.xml" for number in range(1, len(slides) + 1)}
        ),
    }
    parts |= {f"ppt/slides/slide{number}.xml": content for number, content in enumerate(slides, 1)}
    return packed(parts | {name.replace("__", "/"): content for name, content in more.items()})


def opendocument(body: str, kind: str = "text", **more: str) -> bytes:
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    content = f"<office:document-content {ODF}><office:body><office:{kind}>{body}</office:{kind}></office:body>"
    return packed({"mimetype": media_type, "content.xml": f"{content}</office:document-content>", **more})


def epub(*chapters: str, **more: str) -> bytes:
    items = "".join(
        f'<item id="c{number}" href="c{number}.xhtml" media-type="application/xhtml+xml"/>'
        for number in range(len(chapters))
    )
    order = "".join(f'<itemref idref="c{number}"/>' for number in range(len(chapters)))
    said = "<metadata xmlns:dc='dc'><dc:title>Otters</dc:title><dc:language>en-GB</dc:language></metadata>"
    package = f"<package xmlns='opf'>{said}<manifest>{items}</manifest><spine>{order}</spine></package>"
    container = "<container><rootfiles><rootfile full-path='OEBPS/book.opf'/></rootfiles></container>"
    parts = {"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package}
    return packed(parts | {f"OEBPS/c{number}.xhtml": page for number, page in enumerate(chapters)} | more)
