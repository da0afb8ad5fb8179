"""How many more jobs a pipeline may make now: the limits that submissions over the API have."""

from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.orm import Session

from pixmill_shared.domain.pipelines import StopReason
from pixmill_shared.repositories import backlog, quotas
from pixmill_shared.repositories.pipelines import ClaimedPipeline
from pixmill_shared.settings.admission import AdmissionSettings

COUNTED_FOR: Final = 1_000
"""Jobs until what waits is counted again: counting a million takes a third of a second."""


@dataclass
class Room:
    """Of one run, which may make ``most`` jobs."""

    admission: AdmissionSettings
    most: int
    made: int = 0
    _waiting: int | None = field(default=None, init=False)
    _counted_at: int = field(default=0, init=False)

    def look(self, session: Session, claimed: ClaimedPipeline) -> tuple[int, StopReason]:
        """How many more, and what would stop the next one. It is first in its transaction: a key's quota is locked."""
        free = [(self.most - self.made, StopReason.LIMIT), (self._free_backlog(session), StopReason.BACKLOG)]
        if claimed.api_key_id is not None:
            limit = quotas.limit_of(session, claimed.api_key_id, self.admission.max_unfinished)
            if limit:
                quotas.lock(session, claimed.api_key_id)
                unfinished = quotas.unfinished(session, claimed.api_key_id, limit)
                free.append((limit - unfinished, StopReason.QUOTA))
        room, reason = min(free, key=lambda each: each[0])
        return max(room, 0), reason

    def _free_backlog(self, session: Session) -> int:
        if self._waiting is None or self.made - self._counted_at >= COUNTED_FOR:
            self._waiting, self._counted_at = backlog.count(session, self.admission.max_backlog), self.made
        return self.admission.max_backlog - self._waiting - (self.made - self._counted_at)
