"""What this process counts, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter

REGISTRY = CollectorRegistry()

PACKED = Counter("kowai_gzip_bytes", "Bytes of replies before and after they were packed.", ["side"], registry=REGISTRY)
