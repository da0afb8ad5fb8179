"""What tells of a worker, where something fails that nobody has thought of."""

import threading
from types import SimpleNamespace

import pytest

from pixmill_shared.database.engine import Database
from pixmill_shared.plumbing import crew
from pixmill_shared.plumbing.crew import Crew


class Worker:
    """Each look at its name fails, as psutil does in a process without file descriptors to spare."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(amqp=SimpleNamespace(queues=SimpleNamespace(consume_from={"imaging": None})))
        self.pool = None
        self.looks = 0
        self.looked_again = threading.Event()

    @property
    def hostname(self) -> str:
        self.looks += 1
        if self.looks > 2:
            self.looked_again.set()
        raise OSError(24, "Too many open files")


def test_worker_goes_on_telling_of_itself_after_an_error_of_any_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "TELL_EVERY", 0.01)
    worker = Worker()
    telling = Crew(worker, Database("postgresql+psycopg2://nobody@127.0.0.1:1/nothing"))
    telling.start()
    assert worker.looked_again.wait(60)
    assert telling.is_alive()
    telling._ended.set()
    telling.join(60)
