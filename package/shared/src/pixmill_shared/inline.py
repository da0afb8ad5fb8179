"""Shared's own tasks in a process that is no worker; this is its entry point in ``pixmill.inline``."""

from pixmill_shared.plumbing.inline import InlineService
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.retention import RetentionSettings
from pixmill_shared.tasks.maintenance import cleanup_old_data
from pixmill_shared.tasks.monitoring import record_heartbeat

SERVICE = InlineService(
    threads=(cleanup_old_data, record_heartbeat), checks=(MaintenanceSettings.load, RetentionSettings.load)
)
