"""How many requests a key may send: counted in Redis, the one home of its client for that."""

from pixmill_api.limits.limiter import RateLimiter

__all__ = ["RateLimiter"]
