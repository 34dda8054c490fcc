"""The models that may write an answer; with none, answers are extracted."""

from decimal import Decimal
from typing import Literal, Self

from prefect.blocks.core import Block
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, model_validator

from blocks.reranker import Reranker
from kowai.reranking import RerankerFailed


class Target(BaseModel):
    """Name one model behind one OpenAI-compatible endpoint, or behind a provider that LiteLLM translates for."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(title="Name", description="What answers say spoke, for example 'local' or 'openai'.")
    model: str = Field(title="Model", description="The name the endpoint serves it by.")
    endpoint: str = Field(
        default="",
        title="Endpoint",
        description="Base URL, for example http://127.0.0.1:11434/v1; a provider that LiteLLM knows may need none.",
    )
    transport: Literal["openai", "litellm"] = Field(
        default="openai",
        title="Transport",
        description="litellm: for a provider without an OpenAI-compatible door; name the model as in bedrock/MODEL.",
    )
    api_key: SecretStr = Field(default=SecretStr("none"), title="API key", description="Sent as a bearer token.")
    roles: tuple[str, ...] = Field(
        default=(), title="Roles", description="What it is asked for: fast, careful, code, ... Empty: everything."
    )
    timeout_seconds: float = Field(default=60.0, gt=0, title="Timeout", description="Seconds to wait for a reply.")
    max_output_tokens: int = Field(default=1024, gt=0, title="Longest answer", description="In tokens.")
    input_price: Decimal | None = Field(
        default=None,
        ge=0,
        title="Input price",
        description="US dollars per million tokens; 0 for a model of your own; empty: from the price table.",
    )
    output_price: Decimal | None = Field(
        default=None,
        ge=0,
        title="Output price",
        description="US dollars per million tokens; 0 for a model of your own; empty: from the price table.",
    )
    allow_unknown_price: bool = Field(
        default=False,
        title="Allow an unknown price",
        description="Call it although no price is known: such calls cannot be counted against a limit.",
    )

    @model_validator(mode="after")
    def _is_reachable(self) -> Self:
        if self.transport == "openai" and not self.endpoint:
            raise ValueError("An endpoint is needed, unless the transport is litellm.")
        return self


class LanguageModel(Block):
    """List the models that may write answers, first choice first, and what may be spent on them."""

    _block_type_name = "KowAI Language Model"
    _block_type_slug = "kowai-language-model"
    _documentation_url = HttpUrl("https://docs.prefect.io/v3/concepts/blocks")
    _description = "OpenAI-compatible models in order of preference; none means extractive answers."

    targets: list[Target] = Field(
        default_factory=list[Target],
        title="Targets",
        description="The models to ask, first choice first: your own before commercial ones.",
    )
    request_limit: Decimal = Field(
        default=Decimal("0.50"), ge=0, title="Limit per request", description="US dollars that one model call may cost."
    )
    daily_limit: Decimal = Field(
        default=Decimal(100), ge=0, title="Daily limit", description="US dollars a tenant may spend in a UTC day."
    )

    rerankers: list[Reranker] = Field(
        default_factory=list[Reranker],
        title="Rerankers",
        description="Models that settings of retrieval and searches may name to put what was found in order.",
    )
    unsupported: Literal["mark", "remove"] = Field(
        default="mark",
        title="Unsupported sentences",
        description="What becomes of a sentence that no passage supports: it is marked in the answer, or removed.",
    )
    check_support: bool = Field(
        default=False,
        title="Let a model check citations",
        description="Also ask the model of the role 'fast' whether each quoted span supports its sentence: one call.",
    )

    def for_role(self, role: str) -> list[Target]:
        """Return the targets that serve `role`, in order; every target when none names it."""
        serving = [target for target in self.targets if not target.roles or role in target.roles]
        return serving or self.targets

    def has_role(self, role: str) -> bool:
        """Tell whether a target names the role, which nobody plays by chance."""
        return any(role in target.roles for target in self.targets)

    def reranker(self, name: str) -> Reranker:
        """Return the reranker of that name. Raises RerankerFailed."""
        for each in self.rerankers:
            if each.name == name:
                return each
        raise RerankerFailed(f"No reranker '{name}' is configured.")

    def preferring(self, name: str | None) -> "LanguageModel":
        """Return the same with the target of that name first, for every role; an unknown name changes nothing."""
        chosen = [target.model_copy(update={"roles": ()}) for target in self.targets if target.name == name]
        others = [target for target in self.targets if target.name != name]
        return self.model_copy(update={"targets": chosen + others}) if chosen else self
