"""What others publish about themselves or about each other, with where it stands; measured on other machines."""

from typing import NamedTuple


class Peer(NamedTuple):
    """Quote one published figure and name its source."""

    figure: str
    source: str


_WINDMILL = "https://github.com/windmill-labs/windmill/pull/8708"
_DIFY = "https://docs.dify.ai/en/self-host/quick-start/"
_R2R = "https://github.com/SciPhi-AI/RAG-Performance"
_LITELLM = "https://docs.litellm.ai/docs/benchmarks"
_RIVESTACK = "https://rivestack.io/pgvector-benchmarks"
_ONYX = "https://docs.onyx.app/deployment/getting_started/resourcing"

RUN_P50 = Peer("a whole run of three empty steps, p50: Prefect 9,679 ms, Temporal 119 ms, Restate 4 ms", _WINDMILL)
RUN_P95 = Peer("a whole run of three empty steps, p95: Prefect 12,631 ms, Temporal 283 ms, Restate 5 ms", _WINDMILL)
RUN_RATE = Peer("runs of three empty steps: Prefect 1.3, Temporal 39, Restate 2,057 a second", _WINDMILL)
MEMORY = Peer("least memory asked for: Onyx 10 GB (Lite 2 GB), Dify 4 GiB", f"{_ONYX} {_DIFY}")
INGESTION = Peer("10,008,026 tokens: R2R 63 s, LlamaIndex 172 s (82 s async), Haystack 276 s, LangChain 510 s", _R2R)
SEARCH = Peer(
    "managed pgvector on 2 vCPU, vectors alone, 250,000 chunks: p50 3.7 ms, p95 5.9 ms at recall@10 of 0.93", _RIVESTACK
)
LEDGER = Peer(
    "LiteLLM's gateway with budgets and spend tracking, a whole request to a mock model: p50 31 ms, p95 54 ms",
    _LITELLM,
)
