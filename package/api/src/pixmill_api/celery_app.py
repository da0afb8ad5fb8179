"""The one app, for ``celery -A pixmill_api.celery_app worker``."""

from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.plumbing.processes import check_at_start, consume_by_default
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.backup import BackupSettings
from pixmill_shared.settings.maintenance import MaintenanceSettings
from pixmill_shared.settings.probing import ProbeSettings
from pixmill_shared.settings.retention import RetentionSettings
from pixmill_shared.settings.storage import StorageSettings

__all__ = ["app"]


def _check_storage() -> None:
    from pixmill_shared.storage import prepare_directory

    prepare_directory(StorageSettings.load())


consume_by_default(QueueName.API)
check_at_start(
    *(_check_storage, MaintenanceSettings.load, RetentionSettings.load, BackupSettings.load),
    *(ProbeSettings.load, ArchiveSettings.load),
)
