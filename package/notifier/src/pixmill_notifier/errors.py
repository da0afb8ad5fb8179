"""Errors of the notifier.

PixmillError
 |- ChannelFailed    a message did not get through; it is tried again
"""

from pixmill_shared.errors import PixmillError


class ChannelFailed(PixmillError):
    """``detail`` is a sentence for people: hosts and statuses, no URL, no login, nothing that the other side said.

    ``retry_after``: seconds that the other side asked for.
    """

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
