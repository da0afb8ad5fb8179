"""Uploads that came to nothing."""

from typing import Final

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.archives import ArchiveSettings
from pixmill_shared.settings.maintenance import MaintenanceSettings

#: Seconds; the next run goes on where this one ended.
LONGEST: Final = 1_500
KILLED_AFTER: Final = 1_800


@app.task(name=TaskName.EXPIRE_UPLOADS.value, soft_time_limit=LONGEST, time_limit=KILLED_AFTER)
def expire_unfinished() -> None:
    """Delete the uploads that were not complete in time, those that no job used in time, and archives of long ago."""
    from pixmill_shared.service.archives import expire_archives
    from pixmill_shared.service.expiring import expire_sessions
    from pixmill_shared.service.sweeping import sweep_uploads

    expire_archives(runtime().database, runtime().store, kept=ArchiveSettings.load().kept)
    expire_sessions(runtime().database, runtime().store)
    sweep_uploads(runtime().database, runtime().store, older_than=MaintenanceSettings.load().uploads_after)
