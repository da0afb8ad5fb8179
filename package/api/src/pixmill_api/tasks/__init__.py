"""The API's own Celery tasks; this module is its entry point in ``pixmill.tasks``."""

from pixmill_api.tasks import archives, keys, uploads

__all__ = ["archives", "keys", "uploads"]
