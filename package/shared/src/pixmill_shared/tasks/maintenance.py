"""What keeps the tables and the storage small."""

from typing import Any, Final

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.runtime import runtime

#: Seconds. A large bucket takes a while to list, and what one run leaves, the next one finds.
LONGEST: Final = 3_300
KILLED_AFTER: Final = 3_600


@app.task(name=TaskName.CLEAN_UP.value, soft_time_limit=LONGEST, time_limit=KILLED_AFTER)
def cleanup_old_data() -> dict[str, Any]:
    """Objects that no row names, and answers that are kept for repeated requests no longer."""
    from pixmill_shared.service.cleaning import clean_up

    return clean_up(runtime())
