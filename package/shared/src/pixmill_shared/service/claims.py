"""Does a worker still have the job that it works on? Asked between the steps of the work."""

import time
from collections.abc import Callable
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.database.engine import Database, DatabaseUnavailable
from pixmill_shared.errors import ClaimLost

#: Called between the steps of a job; raises ClaimLost if there is no point in going on.
Check = Callable[[], None]

EVERY: Final = 0.5
"""Seconds between two looks at the row: a job that is over sooner costs none."""


def unchecked() -> None:
    """Of work that has no claim."""


class ClaimCheck:
    """Of one claim and one thread. ``what`` it is of, for people; ``asks`` whether it is still there."""

    def __init__(
        self,
        what: str,
        database: Database,
        asks: Callable[[Session], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._database = database
        self._asks = asks
        self._clock = clock
        self._looked = clock()

    def __call__(self) -> None:
        """Raise ClaimLost if the job was canceled, or is another worker's by now."""
        if self._clock() - self._looked < EVERY:
            return
        claimed = self._is_claimed()
        self._looked = self._clock()
        if not claimed:
            raise ClaimLost(f"the claim of {self._what} is gone")

    def _is_claimed(self) -> bool:
        try:
            with self._database.session_scope() as session:
                return self._asks(session)
        except DatabaseUnavailable:
            # Perhaps it is back when there is something to write; and that needs the claim anyway.
            return True
