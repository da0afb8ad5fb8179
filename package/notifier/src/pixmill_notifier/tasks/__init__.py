"""The tasks of the notifier; this module is its entry point in ``pixmill.tasks``."""

from pixmill_notifier.tasks import alerts, reports, webhooks

__all__ = ["alerts", "reports", "webhooks"]
