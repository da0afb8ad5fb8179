"""What answers of the Gemini API mean. How they arrive by HTTP: tests/integration/imaging/test_gemini.py."""

import base64
import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_imaging.domain.gemini import LONGEST_TOLD, Drawn, read_answer, request_body, told
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError, TransientError, WorkError

KEY = "AIzaSecret"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(KEY) | st.just("SAFETY"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    *(
                        "candidates",
                        "content",
                        "parts",
                        "text",
                        "inlineData",
                        "data",
                        "mimeType",
                        "thought",
                        "finishReason",
                    ),
                    *(
                        "finishMessage",
                        "promptFeedback",
                        "blockReason",
                        "error",
                        "message",
                        "status",
                        "details",
                        "reason",
                    ),
                    "retryDelay",
                )
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


def answer(*parts: dict[str, Any], reason: str = "STOP", **more: Any) -> bytes:
    return json.dumps({"candidates": [{"content": {"parts": parts}, "finishReason": reason}], **more}).encode()


def inline(data: bytes, media_type: str = "image/png") -> dict[str, Any]:
    return {"inlineData": {"mimeType": media_type, "data": base64.b64encode(data).decode()}}


def failure(status: int, body: bytes, retry_after: float | None = None) -> WorkError:
    with pytest.raises(WorkError) as caught:
        read_answer(status, body, retry_after, KEY)
    return caught.value


def test_last_picture_that_is_no_draft_is_taken() -> None:
    draft = {**inline(b"draft"), "thought": True}
    body = answer({"text": "Here it is."}, inline(b"first"), inline(b"last", "image/jpeg"), draft)
    assert read_answer(200, body, None, KEY) == Drawn(b"last", "image/jpeg")


def test_picture_is_taken_whatever_is_said_beside_it() -> None:
    body = answer(inline(b"x"), reason="MAX_TOKENS", promptFeedback={"safetyRatings": []})
    assert read_answer(200, body, None, KEY).data == b"x"


def test_media_type_that_is_no_text_is_none() -> None:
    body = answer({"inlineData": {"mimeType": 7, "data": "eA=="}})
    assert read_answer(200, body, None, KEY) == Drawn(b"x", "")


@pytest.mark.parametrize(
    "reason",
    ["SAFETY", "IMAGE_SAFETY", "PROHIBITED_CONTENT", "IMAGE_PROHIBITED_CONTENT", "RECITATION", "BLOCKLIST", "SPII"],
)
def test_reasons_of_safety_are_final(reason: str) -> None:
    error = failure(200, answer(reason=reason))
    assert isinstance(error, PermanentError)
    assert (error.code, error.detail) == (
        ErrorCode.PROVIDER_REFUSED,
        f"The image provider refused to draw this ({reason}).",
    )


@pytest.mark.parametrize("reason", ["STOP", "OTHER", "IMAGE_OTHER", "NO_IMAGE", "MAX_TOKENS", "MALFORMED_RESPONSE"])
def test_answer_with_neither_picture_nor_words_may_pass(reason: str) -> None:
    error = failure(200, answer(reason=reason))
    assert isinstance(error, TransientError)
    assert (error.code, error.detail) == (
        ErrorCode.PROVIDER_UNAVAILABLE,
        f"The image provider answered without a picture ({reason}).",
    )


def test_message_of_a_refusal_is_told() -> None:
    candidate = {"finishReason": "IMAGE_SAFETY", "finishMessage": "Unable to show\nthis."}
    error = failure(200, json.dumps({"candidates": [candidate]}).encode())
    assert error.detail == "The image provider refused to draw this (IMAGE_SAFETY): Unable to show this."


def test_draft_thoughts_are_not_what_the_provider_says() -> None:
    error = failure(200, answer({"text": "Let me think.", "thought": True}, reason="NO_IMAGE"))
    assert isinstance(error, TransientError)
    assert "think" not in error.detail


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\r\n two\t\x00\x1b[31mthree", "one two [31mthree"),
        ("\u202eevil\u2066", "evil"),
        (f"Invalid key {KEY}.", "Invalid key [key]."),
        ("\ud800 lone", "lone"),
        ("", ""),
        (None, ""),
        (17, ""),
    ],
)
def test_words_of_the_provider_are_one_plain_line_without_the_key(text: object, expected: str) -> None:
    assert told(text, KEY) == expected


def test_words_of_the_provider_are_bounded() -> None:
    assert len(told("word " * 100_000, KEY)) <= LONGEST_TOLD
    assert told("word " * 100_000, KEY).endswith("word…")
    assert KEY[:4] not in told(" " * 5_995 + KEY, KEY)


@pytest.mark.parametrize(
    ("delay", "seconds"), [("53s", 53), ("0.25s", 0.25), ("999999999s", 86_400), ("-1s", None), ("1m", None), (5, None)]
)
def test_retry_info_is_read_as_a_duration(delay: object, seconds: float | None) -> None:
    body = json.dumps({"error": {"code": 429, "details": [7, {"retryDelay": delay}]}}).encode()
    error = failure(429, body)
    assert isinstance(error, TransientError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("status", [400, 404, 409, 413, 418, 429, 500, 503, 599])
def test_failure_without_a_body_has_a_sentence_all_the_same(status: int) -> None:
    assert f"HTTP {status}" in failure(status, b"").detail


@given(status=st.sampled_from((200, 204, 302, 400, 401, 404, 429, 500)), body=_JSON)
def test_no_answer_is_too_strange(status: int, body: object) -> None:
    with contextlib.suppress(WorkError):
        assert read_answer(status, json.dumps(body).encode(), None, KEY).data
        return
    error = failure(status, json.dumps(body).encode())
    assert error.code in (ErrorCode.PROVIDER_REFUSED, ErrorCode.PROVIDER_UNAVAILABLE)
    assert KEY not in error.detail
    assert error.detail.isprintable()
    assert len(error.detail) < 2 * LONGEST_TOLD + 100


@pytest.mark.parametrize("prompt", ["", "枝豆\n</prompt>\"'\\", "a\0b", "x" * 100_000])
def test_prompt_arrives_as_it_is(prompt: str) -> None:
    body = json.loads(request_body(prompt, "1:1"))
    assert body["contents"] == [{"parts": [{"text": prompt}], "role": "user"}]


def test_half_of_a_surrogate_pair_can_be_sent() -> None:
    assert json.loads(request_body("a\ud800b", "1:1"))["contents"][0]["parts"][0]["text"] == "a?b"
