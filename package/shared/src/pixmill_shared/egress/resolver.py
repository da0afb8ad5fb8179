"""Name to addresses, within a deadline."""

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from pixmill_shared.egress.deadline import Deadline
from pixmill_shared.egress.errors import SourceTimeout, SourceUnreachable


class Resolver(Protocol):
    def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of ``host`` as text, in the order to try. Raises OSError when there are none."""


def system_resolver(host: str, port: int) -> list[str]:
    """What the operating system says (getaddrinfo): hosts file, DNS, in its order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def resolve(resolver: Resolver, host: str, port: int, deadline: Deadline) -> Sequence[str]:
    """Ask once. Raises SourceUnreachable for no answer, SourceTimeout when the deadline comes first.

    getaddrinfo knows no time-out, so it runs in a thread of its own, which is left behind when it is too
    slow. A daemon, unlike a pool's threads: it may not hold up the end of the process.
    """
    answer: Future[Sequence[str]] = Future()

    def look_up() -> None:
        try:
            answer.set_result(resolver(host, port))
        except Exception as error:  # noqa: BLE001 - a thread's boundary: raised again below, in the caller
            answer.set_exception(error)

    threading.Thread(target=look_up, name="pixmill-resolve", daemon=True).start()
    try:
        addresses = answer.result(timeout=max(deadline.remaining(), 0))
    except TimeoutError:
        raise SourceTimeout(f"The name {host} could not be resolved in time.") from None
    except (OSError, UnicodeError):
        addresses = ()
    if not addresses:
        raise SourceUnreachable(f"The name {host} cannot be resolved to an address.")
    return addresses
