"""What Prometheus is told of providers of pictures."""

from typing import Final

from prometheus_client import Counter, Histogram

CALLS: Final = Counter(
    "pixmill_provider_calls_total",
    "Calls to providers of pictures: picture, or the code of what went wrong",
    ("provider", "outcome"),
)
SECONDS: Final = Histogram(
    "pixmill_provider_seconds",
    "Seconds until a provider had answered with a picture",
    ("provider",),
    buckets=(0.5, 1, 2, 4, 8, 15, 30, 60, 120),
)
