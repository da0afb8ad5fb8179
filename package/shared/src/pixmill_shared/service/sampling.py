"""What waits in each queue, at a moment."""

from typing import Any, Final

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.repositories import queue_samples
from pixmill_shared.repositories.waiting import Waiting, left_behind, waiting

MOST: Final = 10_000
"""Rows of a table that are counted for a queue, of those that are published, of those that are not, and of those that
the recovery has left behind: a few milliseconds' worth. Nobody counts a million twice a minute."""


def sample_queues(database: Database) -> dict[str, Any]:
    """Write down how many rows are due for each queue, and since when the oldest is. Returns the depths that are not 0.

    Old samples are deleted by ``cleanup_old_data``.
    """
    found = {queue.value: Waiting(0, 0.0) for queue in QueueName}
    with database.session_scope() as session:
        for kind in KINDS:
            for queue in kind.queues:
                for look in (waiting, left_behind):
                    before, more = found[queue], look(session, kind.work.table, [queue], MOST)
                    found[queue] = Waiting(before.rows + more.rows, max(before.oldest, more.oldest))
        queue_samples.insert(session, found)
    return {queue: each.rows for queue, each in found.items() if each.rows}
