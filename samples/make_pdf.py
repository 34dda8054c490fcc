"""Set operations-guide.md as handbook/operations-guide.pdf, the same bytes each time."""

from collections.abc import Iterator
from pathlib import Path

from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
from reportlab.lib.units import mm
from reportlab.platypus import Flowable, PageBreak, Paragraph, SimpleDocTemplate

SOURCE = Path(__file__).with_name("operations-guide.md")
TARGET = SOURCE.parent / "handbook" / "operations-guide.pdf"
TITLE = "KowAI operations guide"
MARGIN = 15 * mm
LEVELS = {"Heading1": 0, "Heading2": 1}

STYLES = getSampleStyleSheet()
BODY = ParagraphStyle("body", parent=STYLES["BodyText"], fontSize=9.5, leading=13, spaceAfter=3)
ITEM = ParagraphStyle("item", parent=BODY, leftIndent=5 * mm, bulletIndent=1 * mm)


def typeset(block: str) -> Iterator[Flowable]:
    """Yield the flowables of one Markdown block: a heading, a list or a paragraph. Each chapter starts a page."""
    mark, _, rest = block.partition(" ")
    if mark == "#":
        yield PageBreak()
        yield Paragraph(rest, STYLES["Heading1"])
    elif mark == "##":
        yield Paragraph(rest, STYLES["Heading2"])
    elif mark == "-" or mark.rstrip(".").isdigit():
        for line in block.splitlines():
            bullet, _, text = line.partition(" ")
            yield Paragraph(text, ITEM, bulletText=bullet.replace("-", "\u2022"))
    else:
        yield Paragraph(" ".join(block.split()), BODY)


class Guide(SimpleDocTemplate):
    """Lay out A5 pages with the title and the page's number at their foot, and outline the headings."""

    def afterFlowable(self, flowable: Flowable) -> None:
        level = LEVELS.get(getattr(getattr(flowable, "style", None), "name", ""))
        if level is not None:
            name = f"heading-{self.seq.nextf('heading')}"
            self.canv.bookmarkPage(name)
            self.canv.addOutlineEntry(flowable.getPlainText(), name, level)

    def afterPage(self) -> None:
        self.canv.setFont("Helvetica", 8)
        self.canv.drawString(MARGIN, 10 * mm, TITLE)
        self.canv.drawRightString(A5[0] - MARGIN, 10 * mm, f"Page {self.page}")


def main() -> None:
    blocks = SOURCE.read_text(encoding="utf-8").strip().split("\n\n")
    story = [flowable for block in blocks for flowable in typeset(block)][1:]
    margins = dict.fromkeys(("leftMargin", "rightMargin", "topMargin"), MARGIN)
    about = {"title": TITLE, "author": "KowAI", "subject": "Running KowAI for others", "creator": "make_pdf.py"}
    Guide(str(TARGET), pagesize=A5, bottomMargin=18 * mm, lang="en", invariant=1, **margins, **about).build(story)


if __name__ == "__main__":
    main()
