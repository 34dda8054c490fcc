"""Published prices of models, from the map that LiteLLM ships: read as a file, for its import takes seconds."""

import json
from decimal import Decimal
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from blocks.embedder import Embedder
from blocks.language_model import Target
from kowai.pricing import Price, listed_price

FILE = "model_prices_and_context_window_backup.json"

# Where a provider's own door is known, its own entry is meant and no namesake's.
NAMESPACES = {
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "xai",
}


def price_of(target: Target, prompt_tokens: int) -> Price | None:
    """Return the target's declared price, or else the published one for a prompt of that length, or None."""
    if target.input_price is not None and target.output_price is not None:
        return Price(target.input_price, target.output_price)
    entry = _entry(urlsplit(target.endpoint).hostname or "", target.model)
    return None if entry is None else listed_price(entry, prompt_tokens)


def embedding_price(model: Embedder) -> Decimal | None:
    """Return US dollars per million tokens: what the block declares, or else what is published, or None."""
    if model.provider != "openai":
        return Decimal(0)
    if model.price is not None:
        return model.price
    entry = _entry(urlsplit(model.endpoint).hostname or "", model.model)
    listed = None if entry is None else listed_price(entry, 0)
    return None if listed is None else listed.input


@cache
def _entry(host: str, model: str) -> dict[str, Any] | None:
    namespace = NAMESPACES.get(host)
    names = [f"{namespace}/{model}", model] if namespace else [model]
    return next((_table()[name] for name in names if name in _table()), None)


@cache
def _table() -> dict[str, dict[str, Any]]:
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        return {}
    return json.loads((Path(spec.origin).parent / FILE).read_text(encoding="utf-8"))
