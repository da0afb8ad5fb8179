"""The tasks of the notifier; this module is its entry point in ``pixmill.tasks``."""

from pixmill_notifier.tasks import webhooks

__all__ = ["webhooks"]
