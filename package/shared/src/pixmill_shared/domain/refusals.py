"""What is refused of what the broker brings, what is kept of it, and how much of it."""

import base64
from enum import StrEnum
from typing import Any, Final

LARGEST_ITEM: Final = 1_000_000
"""Bytes. Messages of pixmill have less than a thousand: they carry ids."""

LONGEST_EXCERPT: Final = 2_000
"""Bytes that are kept of an item."""

_BURST: Final = 60
_SECONDS_EACH: Final = 10.0

_BODY_ENCODINGS: Final = (None, "base64", "utf-8")


class Refusal(StrEnum):
    """Why an item of a queue is no work: ``error.code`` of its dead letter."""

    MALFORMED_ITEM = "malformed_item"
    UNKNOWN_MESSAGE = "unknown_message"
    UNKNOWN_TASK = "unknown_task"
    CONTENT_REFUSED = "content_refused"
    UNDECODABLE_MESSAGE = "undecodable_message"
    INVALID_TASK = "invalid_task"


TITLES: Final = {
    Refusal.MALFORMED_ITEM: "The item is no message",
    Refusal.UNKNOWN_MESSAGE: "The message names no task",
    Refusal.UNKNOWN_TASK: "No task of this worker has the name",
    Refusal.CONTENT_REFUSED: "The message has a content type that is not taken",
    Refusal.UNDECODABLE_MESSAGE: "The message cannot be decoded",
    Refusal.INVALID_TASK: "The task cannot be called with what the message says",
}


def excerpt(data: bytes) -> dict[str, Any]:
    """The first bytes as text, or in base64 where they are none; ``size`` is that of all, in bytes."""
    shown = data[:LONGEST_EXCERPT]
    facts = {"size": len(data), "truncated": len(data) > LONGEST_EXCERPT}
    # A character may have been cut in two.
    text = shown.decode("utf-8", errors="ignore")
    is_text = len(shown) - len(text.encode()) < 4 and "\0" not in text
    return {"text": text, **facts} if is_text else {"base64": base64.b64encode(shown).decode(), **facts}


def envelope_fault(item: object) -> str | None:
    """Why the item of a Redis list is no message as kombu writes them; None if it is one.

    kombu does not look: it takes each of these as given, and what is missing ends the worker's main process.
    """
    if not isinstance(item, dict):
        return "is no JSON object"
    properties, headers = item.get("properties"), item.get("headers") or {}
    info = properties.get("delivery_info") if isinstance(properties, dict) else None
    if not isinstance(properties, dict) or not isinstance(info, dict):
        return "has no delivery information"
    address = (properties.get("delivery_tag"), info.get("exchange"), info.get("routing_key"))
    content = (item.get(key) or "" for key in ("body", "content-type", "content-encoding"))
    faults = {
        "is not addressed": not _are_text(*address),
        "has headers that are no object": not isinstance(headers, dict),
        "is compressed, which nothing of pixmill does": isinstance(headers, dict) and headers.get("compression"),
        "has a body or a content type that is no text": not _are_text(*content),
        "has a body in an unknown encoding": properties.get("body_encoding") not in _BODY_ENCODINGS,
    }
    return next((fault for fault, is_so in faults.items() if is_so), None)


def _are_text(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


class Allowance:
    """60 at once and then one each 10 s, so that a flood of junk does not fill the database."""

    def __init__(self) -> None:
        self._left = float(_BURST)
        self._asked_at = float("-inf")

    def take(self, now: float) -> bool:
        """Is there one left? ``now`` in seconds, of a clock that does not jump."""
        self._left = min(self._left + (now - self._asked_at) / _SECONDS_EACH, _BURST)
        self._asked_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
