"""Shared's own tasks; this module is shared's entry point in ``pixmill.tasks``."""

from pixmill_shared.tasks import dispatch, maintenance, monitoring

__all__ = ["dispatch", "maintenance", "monitoring"]
