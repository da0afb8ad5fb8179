"""Any receiver of JSON: signed by the Standard Webhooks specification, as the webhooks of jobs are."""

import datetime
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pixmill_notifier.channels.message import Message
from pixmill_notifier.channels.posting import Receiver
from pixmill_shared.domain.moments import utc

#: Of a message id, the moment of sending and the body: the headers to send.
Sign = Callable[[str, datetime.datetime, bytes], Mapping[str, str]]


@dataclass(frozen=True)
class WebhookChannel:
    receiver: Receiver
    #: Holds the secret.
    sign: Sign = field(repr=False)

    def deliver(self, message: Message) -> None:
        timestamp = utc(message.created_at)
        document = {"type": message.kind, "timestamp": timestamp, "data": message.body}
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        self.receiver.post(body, self.sign(f"msg_{message.id.hex}", datetime.datetime.now(datetime.UTC), body))
