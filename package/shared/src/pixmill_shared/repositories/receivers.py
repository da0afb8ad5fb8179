"""Receivers of webhooks that do not answer: a clause for statements that make deliveries.

The rows of ``receivers`` are written by the notifier.
"""


def left_alone_until(url: str) -> str:
    """When a delivery to ``url``, which is SQL, is due: NULL for at once. Of a dead receiver nothing is published."""
    return f"""(
      SELECT r.retry_at FROM receivers r
      WHERE r.host = lower(substring({url}, '^[^:]+://([^/?#]+)'::text)) AND r.retry_at > clock_timestamp()
    )"""
