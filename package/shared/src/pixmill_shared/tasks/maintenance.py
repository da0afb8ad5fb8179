"""What keeps the tables and the storage small, and safe."""

from typing import Any, Final

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime

#: Seconds. A large bucket takes a while to list, and what one run leaves, the next one finds.
LONGEST: Final = 3_300
KILLED_AFTER: Final = 3_600

#: Seconds. These have to come to their end within one run.
LONGEST_WHOLE: Final = 21_000
WHOLE_KILLED_AFTER: Final = 21_600


@app.task(name=TaskName.CLEAN_UP.value, soft_time_limit=LONGEST, time_limit=KILLED_AFTER)
def cleanup_old_data() -> dict[str, Any]:
    """Rows that have become old, what they named, and objects that no row names."""
    from pixmill_shared.service.cleaning import clean_up

    return clean_up(runtime())


@app.task(name=TaskName.BACK_UP.value, soft_time_limit=LONGEST_WHOLE, time_limit=WHOLE_KILLED_AFTER)
def backup_database() -> dict[str, Any]:
    """A dump of the database, in the storage."""
    from pixmill_shared.service.backing_up import back_up

    return back_up(runtime())


@app.task(name=TaskName.VERIFY_STORAGE.value, soft_time_limit=LONGEST_WHOLE, time_limit=WHOLE_KILLED_AFTER)
def verify_storage() -> dict[str, Any]:
    """Whether rows and objects agree."""
    from pixmill_shared.service.verifying import verify

    return verify(runtime())
