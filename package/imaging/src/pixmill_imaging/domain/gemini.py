"""What the Gemini API's generateContent is told and what its answers mean. Nothing in an answer is trusted."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from pixmill_imaging.errors import LostPicture
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError, TransientError, WorkError

LONGEST_TOLD: Final = 300
"""Characters of the provider's words that go into an error."""

LONGEST_WAIT: Final = 86_400.0
"""Seconds. Who asks for more has a mistake in an answer."""

#: Why a model stopped, where asking again changes nothing. Others (OTHER, NO_IMAGE, MAX_TOKENS, ...) are chance.
_REFUSALS: Final = frozenset(
    (
        *("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"),
        *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "PUP_LIMITED_DISABLED"),
    )
)
_PASSING: Final = frozenset((HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY))
#: The operator's to mend: the key, the billing, the country of the server.
_NOT_OURS_TO_ASK: Final = frozenset(("API_KEY_INVALID", "FAILED_PRECONDITION", "PERMISSION_DENIED", "UNAUTHENTICATED"))
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


@dataclass(frozen=True)
class Drawn:
    """``media_type`` is what the answer says, which need not be true of ``data``."""

    data: bytes
    media_type: str


def request_path(model: str) -> str:
    return f"/v1beta/models/{model}:generateContent"


def request_body(prompt: str, aspect_ratio: str) -> bytes:
    """JSON that asks for one picture and no text."""
    config = {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": aspect_ratio}}
    body = {"contents": [{"parts": [{"text": prompt}], "role": "user"}], "generationConfig": config}
    # Half of a surrogate pair is a str, but no UTF-8.
    return json.dumps(body, ensure_ascii=False).encode("utf-8", errors="replace")


def read_answer(status: int, body: bytes, retry_after: float | None, secret: str) -> Drawn:
    """The picture of an answer. ``retry_after`` (seconds) is that of the header; ``secret`` is kept out of errors.

    Raises PermanentError(provider_refused) where the request will never be answered with a picture,
    PermanentError(provider_unavailable) where the operator has to mend something, TransientError(provider_unavailable);
    of these LostPicture where there may have been a picture.
    """
    answer = _parsed(body)
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        if answer is None:
            raise LostPicture(ErrorCode.PROVIDER_UNAVAILABLE, "The image provider's answer cannot be read.")
        return _picture(answer, secret)
    raise _failure(status, answer or {}, retry_after, secret)


def told(text: object, secret: str) -> str:
    """The provider's words as part of a sentence of ours: one line, bounded, without control characters and the key."""
    if not isinstance(text, str):
        return ""
    # The key first: of one that is cut in two, half would be told.
    text = (text.replace(secret, "[key]") if secret else text)[: LONGEST_TOLD * 20]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST_TOLD else line[: LONGEST_TOLD - 1].rstrip() + "…"


def _parsed(body: bytes) -> dict[str, Any] | None:
    """None for what is no JSON object."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _picture(answer: dict[str, Any], secret: str) -> Drawn:
    candidates = list(_objects(answer.get("candidates")))
    parts = [part for candidate in candidates for part in _objects(_object(candidate.get("content")).get("parts"))]
    # Models that think send drafts first.
    final = [part for part in parts if part.get("thought") is not True]
    inline = [_object(part.get("inlineData")) for part in final]
    pictures = [data for data in inline if data.get("data")]
    if pictures:
        return _decoded(pictures[-1])
    words = told(" ".join(part["text"] for part in final if isinstance(part.get("text"), str)), secret)
    raise _no_picture(answer, candidates, words, secret)


def _decoded(inline: dict[str, Any]) -> Drawn:
    media_type = inline.get("mimeType")
    try:
        data = base64.b64decode(inline["data"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise LostPicture(
            ErrorCode.PROVIDER_UNAVAILABLE, "The image provider sent a picture whose base64 is broken."
        ) from None
    return Drawn(data, media_type if isinstance(media_type, str) else "")


def _no_picture(answer: dict[str, Any], candidates: list[dict[str, Any]], words: str, secret: str) -> WorkError:
    blocked = told(_object(answer.get("promptFeedback")).get("blockReason"), secret)
    reasons = [reason for candidate in candidates if (reason := told(candidate.get("finishReason"), secret))]
    refusal = blocked or next((reason for reason in reasons if reason in _REFUSALS), "")
    if refusal:
        why = words or next((text for each in candidates if (text := told(each.get("finishMessage"), secret))), "")
        return PermanentError(
            ErrorCode.PROVIDER_REFUSED, _sentence(f"The image provider refused to draw this ({refusal})", why)
        )
    if words:
        return PermanentError(
            ErrorCode.PROVIDER_REFUSED, _sentence("The image provider answered with words instead of a picture", words)
        )
    reason = f" ({reasons[0]})" if reasons else ""
    return TransientError(ErrorCode.PROVIDER_UNAVAILABLE, f"The image provider answered without a picture{reason}.")


def _failure(status: int, answer: dict[str, Any], retry_after: float | None, secret: str) -> WorkError:
    error = _object(answer.get("error"))
    words = told(error.get("message"), secret)
    details = list(_objects(error.get("details")))
    marks = {error.get("status"), *(detail.get("reason") for detail in details)}
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS or status in _PASSING:
        reason = "has too many requests" if status == HTTPStatus.TOO_MANY_REQUESTS else "has a problem"
        sentence = _sentence(f"The image provider {reason} at the moment (HTTP {status})", words)
        wait = retry_after if retry_after is not None else _retry_delay(details)
        return TransientError(ErrorCode.PROVIDER_UNAVAILABLE, sentence, wait)
    rejected = status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN) or not _NOT_OURS_TO_ASK.isdisjoint(
        mark for mark in marks if isinstance(mark, str)
    )
    if rejected:
        sentence = _sentence(f"The image provider does not serve this installation (HTTP {status})", words)
        return PermanentError(ErrorCode.PROVIDER_UNAVAILABLE, sentence)
    if status < HTTPStatus.BAD_REQUEST:
        sentence = f"The image provider is not where pixmill looks for it (HTTP {status})."
        return PermanentError(ErrorCode.PROVIDER_UNAVAILABLE, sentence)
    sentence = _sentence(f"The image provider refused the request (HTTP {status})", words)
    return PermanentError(ErrorCode.PROVIDER_REFUSED, sentence)


def _retry_delay(details: list[dict[str, Any]]) -> float | None:
    """Seconds of google.rpc.RetryInfo, written ``53s`` or ``53.016s``."""
    for detail in details:
        delay = detail.get("retryDelay")
        found = _DURATION.fullmatch(delay) if isinstance(delay, str) else None
        if found:
            return min(float(found[1]), LONGEST_WAIT)
    return None


def _sentence(ours: str, theirs: str) -> str:
    return f"{ours}: {theirs}" if theirs else f"{ours}."


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
