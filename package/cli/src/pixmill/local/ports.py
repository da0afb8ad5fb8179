"""Which process listens where."""

import functools
import os
import random
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field, fields, replace
from typing import Self

from pixmill.errors import PortTakenError, StackError

DEFAULT_BASE = 8000
DEFAULT_FLOWER = 5555
#: Below the ports that systems hand to outgoing connections: a client that keeps dialling a stopped server's
#: port could otherwise be given that very port as its own end, and then the server cannot come back.
_FREE_RANGE = range(15000, 32000)
_BLOCK_SIZE = 250
_PLAN_SIZE = 8
_TRIES = 400


@dataclass(frozen=True)
class PortPlan:
    """The API's port, the health ports in the order of the processes, and Flower's."""

    api: int
    imaging: int
    notifier: int
    imaging_io: int
    worker: int
    beat: int
    dispatcher: int
    flower: int

    @classmethod
    def from_base(cls, port: int | None) -> Self:
        """API on ``port``, health ports after it, Flower on ``port`` + 7; None is 8000 with Flower on 5555."""
        if port is None:
            return replace(cls.from_base(DEFAULT_BASE), flower=DEFAULT_FLOWER)
        if not 1 <= port <= 65535 - _PLAN_SIZE + 1:
            raise StackError(f"--port {port} is out of range: {_PLAN_SIZE} ports from there on must lie in 1..65535.")
        return cls(*range(port, port + _PLAN_SIZE))

    @classmethod
    def free(cls, host: str = "127.0.0.1") -> Self:
        """A plan in which every port is free at this moment."""
        for base in _candidates(_PLAN_SIZE):
            if all(is_free(host, port) for port in range(base, base + _PLAN_SIZE)):
                return cls.from_base(base)
        raise StackError(f"Found no {_PLAN_SIZE} free ports in a row.")

    def items(self) -> Iterator[tuple[str, int]]:
        """Process name and port, in the plan's order."""
        names = (field.name.replace("_", "-") for field in fields(self))
        yield from zip(names, astuple(self), strict=True)

    def require_free(self, host: str) -> None:
        """Raise PortTakenError, which names every taken port and the process that it is for."""
        taken = [f"{port} ({name})" for name, port in self.items() if not is_free(host, port)]
        if taken:
            raise PortTakenError(
                f"Taken on {host}: port {', '.join(taken)}. Stop what listens there, or choose others: "
                "`pixmill up --port P` uses P to P+7."
            )


def is_free(host: str, port: int) -> bool:
    """Can a server listen there now? Asked the way servers bind, so a socket in TIME_WAIT does not count."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_free(host: str, wanted: int | None = None, avoid: frozenset[int] = frozenset()) -> int:
    """``wanted`` if it is free, else another one."""
    if wanted is not None and wanted not in avoid and is_free(host, wanted):
        return wanted
    for port in _candidates(1):
        if port not in avoid and is_free(host, port):
            return port
    raise StackError("Found no free port.")


@dataclass
class _Block:
    """Ports that one process chooses from: what it was given lately comes last, for a server may not be there yet."""

    ports: range
    _given: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next_row(self, length: int) -> int:
        """The first of so many."""
        with self._lock:
            first = self._given if self._given + length <= len(self.ports) else 0
            self._given = first + length
        return self.ports[first]


def _candidates(length: int) -> Iterator[int]:
    """Where so many ports in a row may begin."""
    block = _own_block(os.getpid())
    if block is not None:
        yield from (block.next_row(length) for _ in range(_BLOCK_SIZE // length))
    yield from random.sample(_FREE_RANGE[: len(_FREE_RANGE) - length + 1], _TRIES)


@functools.cache
def _own_block(_pid: int) -> _Block | None:
    """That no other process of this machine chooses from while this one lives.

    Between the choice of a port and the server that listens there a second goes by, or a minute: two stacks that start
    at once would else choose the same one now and then. Only Linux has names that end with the process which has them.
    """
    starts = list(_FREE_RANGE[::_BLOCK_SIZE]) if sys.platform == "linux" else []
    random.shuffle(starts)
    for start in starts:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0pixmill ports from {start}")
        except OSError:
            name.close()
        else:
            name.detach()  # open until the end
            return _Block(range(start, start + _BLOCK_SIZE))
    return None
