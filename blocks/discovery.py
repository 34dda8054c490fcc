"""Which models are at hand when KowAI starts: an Ollama that listens, and the providers whose keys are there."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import httpx
from pydantic import SecretStr

from blocks.language_model import Target

OLLAMA = "http://127.0.0.1:11434"
PATIENCE_SECONDS = 1.0
NOT_FOR_CHAT = ("embed", "bge-", "rerank", "minilm")


class Provider(NamedTuple):
    """Name a provider's OpenAI-compatible door and the small and the large model asked there."""

    name: str
    key: str
    endpoint: str
    fast: str
    careful: str


PROVIDERS = (
    Provider("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-4o-mini", "gpt-4.1"),
    Provider("anthropic", "ANTHROPIC_API_KEY", "https://api.anthropic.com/v1", "claude-haiku-4-5", "claude-sonnet-4-5"),
    Provider(
        "gemini",
        "GEMINI_API_KEY",
        "https://generativelanguage.googleapis.com/v1beta/openai",
        "gemini-2.5-flash",
        "gemini-2.5-pro",
    ),
    Provider(
        "groq",
        "GROQ_API_KEY",
        "https://api.groq.com/openai/v1",
        "openai/gpt-oss-20b",
        "openai/gpt-oss-120b",
    ),
    Provider("mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1", "mistral-small-latest", "mistral-large-latest"),
    Provider("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1", "deepseek-chat", "deepseek-chat"),
)


async def find_targets(environment: Mapping[str, str]) -> list[Target]:
    """Return local targets, then commercial ones; none when nothing is at hand."""
    return [*await ollama_targets(ollama_address(environment)), *keyed_targets(environment)]


async def ollama_targets(address: str) -> list[Target]:
    """Return one free target: the model that the Ollama at `address` used last; none when none listens."""
    try:
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False) as client:
            listed = (await client.get(f"{address}/api/tags")).raise_for_status().json()
        names = [str(model["name"]) for model in listed["models"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return []
    chatty = [name for name in names if not any(word in name.lower() for word in NOT_FOR_CHAT)]
    free: dict[str, Any] = {"input_price": Decimal(0), "output_price": Decimal(0)}
    # A model that has to be loaded first takes its time.
    return [
        Target(name="ollama", model=name, endpoint=f"{address}/v1", timeout_seconds=180.0, **free)
        for name in chatty[:1]
    ]


def ollama_address(environment: Mapping[str, str]) -> str:
    """Return where Ollama listens, by its own variable OLLAMA_HOST, which may lack scheme and port."""
    host = environment.get("OLLAMA_HOST", "").strip().rstrip("/")
    if not host:
        return OLLAMA
    address = host if "://" in host else f"http://{host}"
    address = address.replace("//0.0.0.0", "//127.0.0.1")
    return address if address.rpartition(":")[2].isdigit() else f"{address}:11434"


def keyed_targets(environment: Mapping[str, str]) -> list[Target]:
    return [target for provider in PROVIDERS for target in _targets(provider, environment.get(provider.key, ""))]


def _targets(provider: Provider, key: str) -> list[Target]:
    """Return the provider's small model for quick work and its large one for the rest, priced by the table."""
    if not key.strip():
        return []
    shared: dict[str, Any] = {"endpoint": provider.endpoint, "api_key": SecretStr(key.strip())}
    if provider.fast == provider.careful:
        return [Target(name=provider.name, model=provider.fast, **shared)]
    fast = Target(name=f"{provider.name}-fast", model=provider.fast, roles=("fast",), **shared)
    return [fast, Target(name=provider.name, model=provider.careful, roles=("careful", "code"), **shared)]
