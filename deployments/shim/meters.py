"""What this process counts, and what it knows of the rest, for Prometheus: labels of few values, no tenant, no text."""

import time
from collections.abc import Mapping

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from starlette.types import Scope

from tasks.census import Census

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

log = structlog.get_logger()

QUIET = frozenset({"/live", "/ready", "/health", "/metrics"})  # asked all the time, by machines
VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

REQUESTS = Counter("kowai_requests", "Requests.", ["method", "route", "status"], registry=REGISTRY)
LATENCY = Histogram(
    "kowai_request_seconds", "Until a reply begins.", ["method", "route"], buckets=SECONDS, registry=REGISTRY
)
PACKED = Counter("kowai_gzip_bytes", "Bytes of replies before and after they were packed.", ["side"], registry=REGISTRY)
STREAMS = Gauge("kowai_open_streams", "Event streams that are being told.", registry=REGISTRY)
PREFECT = Gauge("kowai_prefect_up", "Whether the Prefect API answers.", registry=REGISTRY)
COUNTED = {
    "tenants": Gauge("kowai_tenants", "Tenants.", ["state"], registry=REGISTRY),
    "queues": Gauge("kowai_queue_depth", "What waits or is under way, of all tenants.", ["queue"], registry=REGISTRY),
    "questions": Gauge("kowai_questions_today", "Questions of this UTC day.", ["outcome"], registry=REGISTRY),
    "dollars": Gauge("kowai_dollars_today", "US dollars of this UTC day.", ["kind"], registry=REGISTRY),
    "calls": Gauge("kowai_model_calls_today", "Model calls of this UTC day.", ["kind"], registry=REGISTRY),
    "tokens": Gauge("kowai_tokens_today", "Model tokens of this UTC day.", ["kind"], registry=REGISTRY),
}


class Meter:
    """Time one request."""

    def __init__(self, scope: Scope) -> None:
        self._scope, self._began = scope, time.perf_counter()

    def began_reply(self, status: int) -> None:
        """Count the request under its route's pattern, which holds none of what was asked for."""
        method = self._scope["method"] if self._scope["method"] in VERBS else "other"
        route = pattern_of(self._scope)
        REQUESTS.labels(method, route, status).inc()
        seconds = time.perf_counter() - self._began
        LATENCY.labels(method, route).observe(seconds)
        if route not in QUIET:
            log.info("request", method=method, route=route, status=status, ms=round(1000 * seconds, 1))


def pattern_of(scope: Scope) -> str:
    """Return the pattern of the route that answered, such as /api/v1/documents/{document_id}."""
    return getattr(scope.get("route"), "path", "unmatched")


def note(census: Census, *, prefect_answers: bool) -> None:
    """Show what was counted; what is no longer there goes away."""
    PREFECT.set(prefect_answers)
    counted: Mapping[str, Mapping[str, float]] = census._asdict()
    for name, gauge in COUNTED.items():
        gauge.clear()
        for label, value in counted[name].items():
            gauge.labels(label).set(value)
