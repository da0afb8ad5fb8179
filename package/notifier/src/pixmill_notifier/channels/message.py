"""What all channels share: a message, and how it is handed over."""

import datetime
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

from pixmill_shared.contract.alerts import MessageKind


@dataclass(frozen=True)
class Message:
    """``body`` is what the row holds: the changes of alerts, or the figures of a day. Repeats have the same ``id``."""

    id: uuid.UUID
    kind: MessageKind
    body: dict[str, Any]
    created_at: datetime.datetime


class Channel(Protocol):
    def deliver(self, message: Message) -> None:
        """Hand it over, within the channel's own deadline. Raises ChannelFailed."""
