"""What speaks with a target: lm15's own transport, or LiteLLM for providers that have no OpenAI-compatible door."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary

from dspy import lm15

# Public in lm15, not re-exported by DSPy, whose version is pinned exactly.
from dspy._vendor.lm15.transports import StdlibAsyncTransport, TransportRequest
from dspy.clients.engines import AsyncLiteLLMEngine

from blocks.language_model import Target
from kowai.correlation import HEADER, request_id

CONNECT_SECONDS = 2.0
PROVIDER = "kowai-target"

_speakers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, str], lm15.AsyncOpenAIChatLM]] = (
    WeakKeyDictionary()
)


class _Translator(AsyncLiteLLMEngine):
    """Import LiteLLM in a thread, which takes seconds, so that nobody else waits for it."""

    async def complete(self, request: lm15.Request) -> lm15.Response:
        await asyncio.to_thread(import_module, "litellm")
        return await super().complete(request)

    async def stream(self, request: lm15.Request) -> AsyncGenerator[Any]:
        await asyncio.to_thread(import_module, "litellm")
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


class _Correlating(StdlibAsyncTransport):
    """Tell a provider which request of ours a call belongs to."""

    def stream(self, request: TransportRequest) -> Any:
        return super().stream(replace(request, headers=[*request.headers, *_correlation()]))


def _correlation() -> list[tuple[str, str]]:
    identity = request_id()
    return [(HEADER, identity)] if identity else []


def speaker(target: Target) -> lm15.AsyncOpenAIChatLM | AsyncLiteLLMEngine:
    """Return this loop's connections to the target's endpoint, or LiteLLM, which is imported when it is first asked."""
    if target.transport == "litellm":
        return _Translator(**_litellm_options(target))
    speakers = _speakers.setdefault(asyncio.get_running_loop(), {})
    key = (target.endpoint, target.api_key.get_secret_value())
    if key not in speakers:
        speakers[key] = _connected(*key)
    return speakers[key]


def _litellm_options(target: Target) -> dict[str, Any]:
    """Return what LiteLLM is told of one request; without a key it finds the provider's own in the environment."""
    key = target.api_key.get_secret_value()
    told: dict[str, Any] = {"api_base": target.endpoint, "api_key": "" if key == "none" else key}
    told |= {"timeout": target.timeout_seconds, "extra_headers": dict(_correlation())}
    return {name: value for name, value in told.items() if value}


def _connected(endpoint: str, api_key: str) -> lm15.AsyncOpenAIChatLM:
    # Only OpenAI itself takes max_completion_tokens everywhere; a server that ignored the limit would cost more
    # than was reserved.
    dialect = "openai" if urlsplit(endpoint).hostname == "api.openai.com" else "lmstudio"
    access = lm15.AccessPolicy(provider=PROVIDER, base_url=endpoint, env_keys=())
    definition = lm15.ProviderDefinition.chat(access, compat=lm15.OpenAIChatCompat.preset(dialect))
    # How long a reply may take is the target's own setting; where no proxy is told, none is looked for at each request.
    transport = _Correlating(connect_timeout=CONNECT_SECONDS, trust_env=bool(getproxies()))
    config = lm15.RouterConfig(env={}, api_keys={PROVIDER: api_key}, providers=(definition,), transport=transport)
    return cast(lm15.AsyncOpenAIChatLM, lm15.AsyncLMRouter(config).lm(f"{PROVIDER}:any"))
