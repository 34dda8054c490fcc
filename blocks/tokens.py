"""How many tokens a prompt has at most: counted where the encoding is known, bounded where it is not."""

import os
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tiktoken import Encoding

# Chat templates add role marks around each message and some a system prompt of their own.
PER_MESSAGE, PER_REQUEST = 8, 64
OLD = re.compile(r"^(gpt-4-|gpt-4$|gpt-3\.5|text-embedding)")
NEW = re.compile(r"^(gpt-|o[1-9]|chatgpt-)")


class TokenCount(NamedTuple):
    """Hold an upper bound on a prompt's tokens, and whether it was `counted` or only bounded."""

    tokens: int
    counted: bool


def count_prompt(texts: list[str], model: str) -> TokenCount:
    """Count with the model's encoding, or bound by UTF-8 bytes: no byte-level vocabulary makes more tokens of a text.

    Anthropic, Gemini and local models publish no encoding that could be shipped, so theirs is the bound.
    """
    overhead = PER_REQUEST + PER_MESSAGE * len(texts)
    encoding = _encoding(model.rpartition("/")[2])
    if encoding is None:
        return TokenCount(overhead + sum(len(text.encode()) for text in texts), counted=False)
    return TokenCount(overhead + sum(len(encoding.encode_ordinary(text)) for text in texts), counted=True)


def _encoding(model: str) -> "Encoding | None":
    name = "cl100k_base" if OLD.match(model) else "o200k_base" if NEW.match(model) else None
    if name is None or model.startswith("gpt-oss"):  # served by anyone's template
        return None
    return _load(name)


@cache
def _load(name: str) -> "Encoding | None":
    """Load an encoding from the files that LiteLLM ships; tiktoken alone would fetch them."""
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return None
    shipped = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(shipped))
    import tiktoken

    return tiktoken.get_encoding(name)
