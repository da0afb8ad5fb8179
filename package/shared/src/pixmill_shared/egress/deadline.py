"""A total deadline: one moment for everything, however many reads, redirects and addresses it takes."""

import time


class Deadline:
    """``seconds`` from now, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; zero or less once it has passed."""
        return self._at - time.monotonic()

    def bound(self, timeout: float | None) -> float:
        """The shorter of ``timeout`` (None: no own limit) and what is left, in seconds.

        Raises TimeoutError once the deadline has passed: a socket would take 0 for "do not block".
        """
        left = self.remaining()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left if timeout is None else min(timeout, left)
