"""The dispatcher's loop, and how it is told to end."""

from types import SimpleNamespace
from typing import Any

from pixmill_shared.dispatcher.loop import Loop
from pixmill_shared.dispatcher.wakeups import Wakeups
from pixmill_shared.observability.health import Pulse


def test_process_that_is_told_twice_to_end_ends_as_one_that_is_told_once() -> None:
    """The second signal may come when all is closed: a terminal sends one to each process, and what started it too."""
    wakeups = Wakeups("postgresql+psycopg2://nobody@127.0.0.1:1/nothing")
    dispatcher: Any = SimpleNamespace(outlet=SimpleNamespace(errors=()))
    loop = Loop(dispatcher, wakeups, Pulse(), poll=60)
    loop.stop()
    loop.run()
    wakeups.close()
    loop.stop()
