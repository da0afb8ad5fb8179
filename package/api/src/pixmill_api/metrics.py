"""What the API counts, by route template: a label with ids in it would grow for ever."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

REQUESTS: Final = Counter("pixmill_http_requests_total", "Requests that were answered", ["method", "route", "status"])
SECONDS: Final = Histogram(
    "pixmill_http_request_seconds",
    "From the first byte of the request to the last of the answer",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
UPLOADED: Final = Counter("pixmill_uploaded_bytes_total", "Bytes of complete uploads")
BACKLOG: Final = Gauge(
    "pixmill_backlog_jobs", "Queued jobs, counted up to PIXMILL_MAX_BACKLOG now and then; at the limit POST answers 429"
)
INLINE_BUSY: Final = Gauge("pixmill_inline_busy", "Places of this process in which work runs", ["lane"])
INLINE_ACTIVE: Final = Gauge("pixmill_inline_active", "1 while this process takes work itself")
VIEWERS: Final = Gauge("pixmill_stream_viewers", "Streams of events and held answers that wait for news")
