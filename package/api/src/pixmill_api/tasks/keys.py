"""Keys whose time is over."""

from typing import Final

from pixmill_shared.celery_app import app
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.runtime import runtime

log = get_logger(__name__)

#: Seconds.
LONGEST: Final = 300
KILLED_AFTER: Final = 330


@app.task(name=TaskName.EXPIRE_KEYS.value, soft_time_limit=LONGEST, time_limit=KILLED_AFTER)
def expire() -> None:
    """Mark keys that have expired as revoked, and forget former secrets that sign no more."""
    from pixmill_shared.service.keys import expire_keys

    log.info("keys expired", keys=expire_keys(runtime().database))
