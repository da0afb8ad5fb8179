"""Messages that a worker cannot work on become dead letters, and none of them ends the worker.

Celery deletes what it does not know. It also trusts what is in a message: a field of a wrong type raises out of the
worker's event loop.
"""

from typing import Any, Final

from celery import signals
from celery.exceptions import InvalidTaskError
from kombu.exceptions import ContentDisallowed, DecodeError

from pixmill_shared.domain.refusals import Refusal, excerpt
from pixmill_shared.plumbing.consumer import PatientConsumer
from pixmill_shared.plumbing.letterbox import letterbox

_FAULTS: Final = (
    DecodeError,
    ContentDisallowed,
    InvalidTaskError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)
"""What a wrong message raises; a lost connection or a defect of the pool is none of them."""


class RefusingConsumer(PatientConsumer):
    """Lets no message raise out of the event loop."""

    def create_task_handler(self, *args: Any, **options: Any) -> Any:
        celerys = super().create_task_handler(*args, **options)

        def on_task_received(message: Any) -> None:
            try:
                celerys(message)
            except _FAULTS as error:
                if message.acknowledged:
                    signals.task_rejected.send(sender=self, message=message, exc=error)
                else:
                    self.on_invalid_task(None, message, error)

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        super().on_decode_error(message, exc)
        _refuse(message, _reason_of(exc, Refusal.UNDECODABLE_MESSAGE), str(exc))


def check_request(request: Any, args: Any, kwargs: Any) -> None:
    """Raise InvalidTaskError, which the consumer takes well, for what would fail later, or elsewhere."""
    if not isinstance(request.id, str):
        raise InvalidTaskError("The message has no id.")
    limits = request.time_limits
    if not isinstance(limits, list | tuple) or len(limits) != 2:
        raise InvalidTaskError("The time limits of the message are no pair.")
    if not all(limit is None or isinstance(limit, int | float) for limit in limits):
        raise InvalidTaskError("The time limits of the message are no numbers.")
    try:
        request.task.__header__(*args, **kwargs)
    except TypeError as error:
        raise InvalidTaskError(f"The arguments do not fit: {error}.") from None


@signals.task_unknown.connect
def _on_unknown_task(message: Any, name: Any, **_: Any) -> None:
    _refuse(message, Refusal.UNKNOWN_TASK, "Is the service that has it installed here, and as new as the sender?", name)


@signals.task_rejected.connect
def _on_rejected(message: Any, exc: Exception | None, **_: Any) -> None:
    if exc is None:
        _refuse(message, Refusal.UNKNOWN_MESSAGE, "It has no header task.")
    else:
        _refuse(message, _reason_of(exc, Refusal.INVALID_TASK), str(exc))


def _reason_of(error: Exception, otherwise: Refusal) -> Refusal:
    if isinstance(error, ContentDisallowed):
        return Refusal.CONTENT_REFUSED
    return Refusal.UNDECODABLE_MESSAGE if isinstance(error, DecodeError) else otherwise


def _refuse(message: Any, reason: Refusal, detail: str, name: Any = None) -> None:
    headers = message.headers if isinstance(message.headers, dict) else {}
    name = name or headers.get("task")
    payload = {
        "queue": str((message.delivery_info or {}).get("routing_key")),
        "task_id": str(headers.get("id"))[:200],
        "content_type": str(message.content_type)[:200],
        **excerpt(_bytes_of(message.body)),
    }
    letter = letterbox.letter(name if isinstance(name, str) else "unknown", reason, detail, payload)
    if letter is not None:
        letterbox.post(letter)


def _bytes_of(body: Any) -> bytes:
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else str(body).encode(errors="replace")
