"""One recovery and one pass, by a task that beat sends: work flows on, slower, while no dispatcher runs.

Beside dispatchers it is harmless, as they are beside each other: a queue is published into by one at a time, and rows
that another one has locked are passed by.
"""

from typing import Any

from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.dispatcher.outlets import BrokerOutlet
from pixmill_shared.repositories.work import WorkTable
from pixmill_shared.runtime import Runtime


def pass_once(clients: Runtime, app: Any, *tables: WorkTable) -> dict[str, int]:
    """Of ``tables``, all if none is named; messages published, by table: at most a window a queue.

    What fails of one kind's recovery is logged and counted. Raises what a database that is away raises, and what a pass
    or the broker did.
    """
    kinds = [kind for kind in KINDS if not tables or kind.work in tables]
    outlet = BrokerOutlet(app, clients.work)
    dispatcher = Dispatcher(clients, outlet, kinds)
    try:
        dispatcher.recover()
        return {kind.work.table: dispatcher.dispatch(kind) for kind in kinds}
    finally:
        outlet.disconnect()
