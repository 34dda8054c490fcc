"""Frozen values that travel between tasks."""

from decimal import Decimal
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class Value(BaseModel):
    """Be immutable and refuse fields nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PageSpan(NamedTuple):
    """Place page `number` (from 1) at characters [start, end) of a document's text."""

    number: int
    start: int
    end: int


class Heading(NamedTuple):
    """Place a heading of `level` (1 is the highest) at character `start` of a document's text."""

    level: int
    title: str
    start: int


ContentType = Literal["code", "documentation", "business", "conversation", "data", "general"]


class LoadedDocument(Value):
    """Hold what a loader read: one text that every later offset counts characters of.

    `content_type` and `language` (ISO 639) are None as long as nothing has told them. `layout` holds for each page
    where its lines stand, as kowai.layout writes it, if the format tells.
    """

    text: str
    media_type: str
    content_type: ContentType | None = None
    language: str | None = None
    title: str | None = None
    pages: tuple[PageSpan, ...] = ()
    layout: tuple[str, ...] = ()
    headings: tuple[Heading, ...] = ()
    metadata: dict[str, Any] = Field(default_factory=dict[str, Any])


class Chunk(NamedTuple):
    """Hold characters [start, end) of a document; `page` is the page it starts on, if there are pages."""

    ordinal: int
    start: int
    end: int
    page: int | None
    heading_path: str
    text: str


class Box(Value):
    """Mark a line of text on a page, from 1: its corners in points from the top left of the page as it is shown."""

    page: int
    x0: int
    y0: int
    x1: int
    y1: int
    page_width: int
    page_height: int


class Passage(Value):
    """Hold a retrieved chunk, where it comes from and how well it matched; `relevance` is a reranker's word."""

    chunk_id: int
    document_id: UUID
    external_id: str
    title: str | None
    version: int
    page: int | None
    start: int
    end: int
    heading_path: str
    text: str
    score: float
    dense: float | None = None
    lexical: float | None = None
    relevance: float | None = None
    boxes: tuple[Box, ...] | None = None


class Citation(Value):
    """Point at the characters [start, end) of a document version that support a statement.

    `boxes` are the lines that hold them; None where the format does not tell, and as long as nobody has looked.
    """

    document_id: UUID
    external_id: str
    title: str | None
    version: int
    page: int | None
    start: int
    end: int
    quote: str
    score: float
    boxes: tuple[Box, ...] | None = None


class Usage(Value):
    """Count tokens; None is unknown, which is not zero."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Reply(Value):
    """Hold a model's typed output fields, which model spoke and what it used; `cost` is in US dollars."""

    fields: dict[str, Any]
    model: str
    usage: Usage = Usage()
    cost: Decimal | None = None
    fallback: bool = False
    call_id: UUID | None = None


class Statement(Value):
    """Hold one sentence of an answer and the numbers, from 1, of the citations that support it."""

    text: str
    citations: tuple[int, ...] = ()
    supported: bool


class Prompt(Value):
    """Hold what was asked of whom, beside the passages; `calls` names the model calls whose replies were used.

    `uncited` says that an answer was to be kept though no passage supports it.
    """

    signature: str
    instructions: str = ""
    inputs: dict[str, Any]
    demos: tuple[dict[str, Any], ...] = ()
    calls: tuple[UUID, ...] = ()
    uncited: bool = False


class Draft(Value):
    """Hold an answer before it is recorded. `confidence` is in [0, 1]; `cost` is in US dollars."""

    text: str
    citations: tuple[Citation, ...] = ()
    sentences: tuple[Statement, ...] = ()
    confidence: float | None
    abstained: bool
    model: str
    usage: Usage = Usage()
    cost: Decimal | None = None
    fallback: bool = False
    refusal: "Verdict | None" = None
    persona_version: str | None = None
    prompt: Prompt | None = None
    findings: "tuple[Finding, ...]" = ()


class Turn(Value):
    """Hold what one side of a conversation said; the role 'summary' stands for everything before it."""

    role: str
    text: str


Tone = Literal["plain", "friendly", "formal"]
Length = Literal["short", "normal", "long"]


class Preferences(Value):
    """Hold how a caller likes to be answered; None is no preference. `language` is a BCP 47 tag, as in 'de-AT'."""

    tone: Tone | None = None
    language: str | None = None
    length: Length | None = None


class Question(Value):
    """Hold a stored question while it is answered; it travels between tasks in memory and is never a parameter.

    `calls` names the model calls that helped to understand it, `embedder` the block of the space that was current
    when it was admitted.
    """

    id: UUID
    tenant_id: UUID
    text: str
    standalone: str
    persona: str
    filters: dict[str, Any]
    streamed: bool = False
    history: tuple[Turn, ...] = ()
    preferences: Preferences = Preferences()
    conversation_id: UUID | None = None
    turn: int | None = None
    versions: dict[str, UUID] = Field(default_factory=dict[str, UUID])
    calls: tuple[UUID, ...] = ()
    embedder: str | None = None


class Finding(Value):
    """Say what a guard saw at characters [start, end), how sure it is, and what policy makes of it: never the text."""

    guard: str
    stage: str
    action: str
    kind: str
    start: int
    end: int
    score: float = 1.0


class Verdict(Value):
    """Say whether something goes on, and if not, why: a refusal is a value."""

    allowed: bool
    code: str = "ok"
    sentence: str = ""
    findings: tuple[Finding, ...] = ()


QueryStatus = Literal["queued", "running", "done", "refused", "failed", "stopped"]
ItemState = Literal["queued", "running", "indexed", "unchanged", "quarantined", "dead"]
