"""The API's own Celery tasks; this module is its entry point in ``pixmill.tasks``."""

from pixmill_api.tasks import keys, uploads

__all__ = ["keys", "uploads"]
