"""The log: always on, so that an alert is told even where nothing else is set up."""

from typing import Any

from pixmill_notifier.channels.message import Message
from pixmill_shared.contract.alerts import AlertChange, MessageKind
from pixmill_shared.observability.logs import get_logger

log = get_logger(__name__)

_SHOWN = ("day", "submitted", "completed", "failed", "canceled", "p50", "p95")


class LogChannel:
    """A line for each change of an alert, and one for a report."""

    def deliver(self, message: Message) -> None:
        if message.kind is MessageKind.REPORT:
            log.info("daily report", **{name: message.body.get(name) for name in _SHOWN})
            return
        for change in message.body["changes"]:
            _write(change)
        if message.body["more"]:
            log.warning("more alerts", count=message.body["more"])


def _write(change: dict[str, Any]) -> None:
    write = log.info if change["change"] == AlertChange.ENDED else log.warning
    # Not `event`, which is the phrase itself.
    write(f"alert {change['change']}", rule=change["rule"], subject=change["subject"], detail=change["detail"])
