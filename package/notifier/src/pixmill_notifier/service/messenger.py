"""One try of one message: claim, hand over, record."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from pixmill_notifier.channels import Channel, Message
from pixmill_notifier.errors import ChannelFailed
from pixmill_shared.contract.alerts import MessageKind
from pixmill_shared.contract.payloads import MessagePayload
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.backoff import MESSAGE_SCHEDULE, scheduled
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import alert_messages, dead_letters
from pixmill_shared.repositories.alert_messages import ClaimedMessage

log = get_logger(__name__)


@dataclass(frozen=True)
class Messenger:
    """``lease`` in seconds."""

    database: Database
    channels: Mapping[str, Channel]
    lease: float
    worker_name: str
    rng: random.Random


def send(message_id: uuid.UUID, messenger: Messenger) -> None:
    """Returns silently if the message is not to be had: somebody else has it, or it is over."""
    with messenger.database.session_scope() as session:
        message = alert_messages.claim(session, message_id, messenger.worker_name, messenger.lease)
    if message is None:
        return
    structlog.contextvars.bind_contextvars(
        message_id=str(message.id), channel=message.channel, attempt=message.attempts
    )
    failpoint("message.claimed", message.channel)
    failure = _hand_over(message, messenger)
    # Killed here, it is sent again: the channel's message id is the same then.
    failpoint("message.sent", message.channel)
    _record(message, failure, messenger)


def _hand_over(message: ClaimedMessage, messenger: Messenger) -> ChannelFailed | None:
    channel = messenger.channels.get(message.channel)
    if channel is None:
        return ChannelFailed("The channel is not set up any more.")
    try:
        channel.deliver(Message(message.id, MessageKind(message.kind), message.body, message.created_at))
    except ChannelFailed as failure:
        return failure
    except Exception:
        # A defect of ours, as in a template: tried again, as the message may not be lost for it.
        log.exception("unexpected error in a channel")
        return ChannelFailed("pixmill could not prepare the message.")
    return None


def _record(message: ClaimedMessage, failure: ChannelFailed | None, messenger: Messenger) -> None:
    with messenger.database.session_scope() as session:
        if failure is None:
            recorded = alert_messages.sent(session, message.id, message.fence)
            log.info("message sent", kind=message.kind, recorded=recorded)
            return
        error = {"detail": failure.detail}
        delay = scheduled(message.attempts, MESSAGE_SCHEDULE, failure.retry_after, messenger.rng)
        if delay is not None:
            alert_messages.again(session, message.id, message.fence, error, delay)
        elif alert_messages.failed(session, message.id, message.fence, error):
            dead_letters.bury(
                session,
                project=None,
                task=TaskName.SEND_MESSAGE,
                payload=dict(MessagePayload(message_id=str(message.id))),
                error=error,
                attempts=message.attempts,
            )
    if delay is None:
        log.error("message given up", kind=message.kind, detail=failure.detail)
    else:
        log.warning("message failed", kind=message.kind, detail=failure.detail, again_in=round(delay))
