"""Source code: the file's own characters; each function, class and method is a section under its qualified name."""

from pathlib import PurePosixPath

from kowai.decoding import decode
from kowai.definitions import sections
from kowai.loaders import Limits, Loader
from kowai.types import LoadedDocument

LANGUAGES = {
    "python": "py pyi pyw",
    "javascript": "js mjs cjs jsx",
    "typescript": "ts mts cts",
    "tsx": "tsx",
    "java": "java",
    "go": "go",
    "rust": "rs",
    "c": "c h",
    "cpp": "cc cpp cxx hh hpp hxx",
    "c-sharp": "cs",
    "ruby": "rb rake",
    "php": "php",
    "bash": "sh bash zsh",
    "sql": "sql",
    "kotlin": "kt kts",
    "swift": "swift",
    "scala": "scala",
    "lua": "lua",
    "perl": "pl pm",
    "r": "r",
    "julia": "jl",
    "dart": "dart",
    "elixir": "ex exs",
    "css": "css scss less",
    "vue": "vue",
    "terraform": "tf",
    "graphql": "graphql",
    "protobuf": "proto",
    "yaml": "yaml yml",
    "toml": "toml",
    "ini": "ini cfg conf",
    "xml": "xml xsd xsl",
}
OF_SUFFIX = {f".{suffix}": language for language, suffixes in LANGUAGES.items() for suffix in suffixes.split()}
MEDIA_TYPES = frozenset(
    ("application/javascript", "text/javascript", "application/xml", "text/xml", "application/yaml", "text/css")
)


def load(data: bytes, name: str, limits: Limits = Limits(), charset: str | None = None) -> LoadedDocument:
    text = decode(data, name, charset)
    language = OF_SUFFIX.get(PurePosixPath(name).suffix.lower(), "text")
    return LoadedDocument(
        text=text,
        media_type=f"text/x-{language}",
        content_type="code",
        title=name,
        headings=sections(text, language),
        metadata={"programming_language": language},
    )


CODE = Loader("source code", frozenset(OF_SUFFIX), MEDIA_TYPES, load)
