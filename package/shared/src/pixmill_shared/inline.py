"""Shared's own tasks in a process that is no worker; this is its entry point in ``pixmill.inline``."""

from pixmill_shared.plumbing.inline import InlineService
from pixmill_shared.settings.backup import BackupSettings
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.probing import ProbeSettings
from pixmill_shared.settings.retention import RetentionSettings
from pixmill_shared.tasks.maintenance import backup_database, cleanup_old_data, verify_storage
from pixmill_shared.tasks.monitoring import health_check_all_services, record_heartbeat, sample_queues

SERVICE = InlineService(
    threads=(
        cleanup_old_data,
        backup_database,
        verify_storage,
        record_heartbeat,
        sample_queues,
        health_check_all_services,
    ),
    checks=(ProbeSettings.load, MaintenanceSettings.load, RetentionSettings.load, BackupSettings.load),
)
