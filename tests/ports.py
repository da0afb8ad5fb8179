"""Ports of servers that a test is about to start, and of servers that are not there."""

import functools
import socket
from collections import deque
from typing import Final

_AT_ONCE: Final = 64
_held: Final[deque[socket.socket]] = deque()
_kept: Final[list[socket.socket]] = []


def free_port() -> int:
    """On loopback. Until 64 more have been asked for it is neither given to a server that asks for any, nor to a client
    as its own end: a socket has it that does not listen. Who sets SO_REUSEADDR, as servers do, may listen all the same.
    """
    if len(_held) == _AT_ONCE:
        _held.popleft().close()
    _held.append(_holder())
    return int(_held[-1].getsockname()[1])


@functools.cache
def closed_port() -> int:
    """Of a server that is not there, for as long as this process lives."""
    _kept.append(_holder())
    return int(_kept[0].getsockname()[1])


def _holder() -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", 0))
    return found
