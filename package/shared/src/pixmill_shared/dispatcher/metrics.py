"""What the dispatcher counts."""

from typing import Final

from prometheus_client import Counter, Gauge

DISPATCHED: Final = Counter("pixmill_dispatched_total", "Messages published by this dispatcher", ["queue"])
REDISPATCHED: Final = Counter("pixmill_redispatched_total", "Rows whose message was lost", ["table"])
LEASES_EXPIRED: Final = Counter("pixmill_leases_expired_total", "Claims whose worker went silent", ["table"])
UNPUBLISHABLE: Final = Counter(
    "pixmill_unpublishable_total", "Rows that this version cannot handle, put off", ["table"]
)
RECOVERIES_FAILED: Final = Counter(
    "pixmill_recoveries_failed_total", "Looks for lost and stalled work that the database refused", ["table"]
)
BROKER_UP: Final = Gauge("pixmill_dispatcher_broker_up", "1 while the dispatcher can publish")
