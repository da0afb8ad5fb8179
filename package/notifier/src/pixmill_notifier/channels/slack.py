"""A chat: an incoming webhook as Slack made it, which Mattermost, Rocket.Chat and others take too."""

import json
from dataclasses import dataclass

from pixmill_notifier.channels.message import Message
from pixmill_notifier.channels.posting import Receiver
from pixmill_notifier.channels.rendering import Renderer

_HEADERS = {"content-type": "application/json"}


@dataclass(frozen=True)
class SlackChannel:
    receiver: Receiver
    renderer: Renderer

    def deliver(self, message: Message) -> None:
        text = self.renderer.render(message, "slack.txt").strip()
        self.receiver.post(json.dumps({"text": text}, ensure_ascii=False).encode(), _HEADERS)
