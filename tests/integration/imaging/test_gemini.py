"""The Gemini provider, by the real client of the guarded transport, against a server that misbehaves as told."""

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from tests import gemini
from tests.gemini import KEY, Behaviour, FakeGemini, running_gemini
from tests.ports import closed_port

from pixmill_imaging.errors import LostPicture, UnfitPicture
from pixmill_imaging.providers.gemini import GeminiProvider
from pixmill_imaging.providers.protocol import Picture, Subject
from pixmill_imaging.settings import GenerationSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, TransientError, WorkError
from pixmill_shared.settings.egress import EgressSettings

RECORDED = json.loads((Path(__file__).parents[2] / "fixtures/google_genai_request.json").read_text())
LOOPBACK = EgressClient(EgressSettings(allow="127.0.0.1"))


@pytest.fixture(scope="module")
def running() -> Iterator[FakeGemini]:
    with running_gemini() as server:
        yield server


@pytest.fixture
def server(running: FakeGemini) -> FakeGemini:
    running.forget()
    return running


def provider(server: FakeGemini, egress: EgressClient = LOOPBACK, **settings: object) -> GeminiProvider:
    given = {"gemini_key": KEY, "gemini_url": server.url, "timeout": 60, **settings}
    return GeminiProvider(egress, GenerationSettings.model_validate(given))


def draw(server: FakeGemini, prompt: str = "枝豆", **settings: object) -> Picture:
    return provider(server, **settings).draw(Subject("Edamame", "前菜", prompt))


def failure(server: FakeGemini, behaviour: Behaviour, **settings: object) -> WorkError:
    """That of one request, which is not repeated."""
    server.script("", behaviour)
    with pytest.raises(WorkError) as caught:
        draw(server, **settings)
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    return caught.value


def test_request_is_that_of_the_official_client(server: FakeGemini) -> None:
    prompt = RECORDED["body"]["contents"][0]["parts"][0]["text"]
    key = RECORDED["headers"]["x-goog-api-key"]
    draw(server, prompt, gemini_key=key, gemini_model="gemini-nano-banana-2.1", gemini_aspect_ratio="4:3")
    (asked,) = server.requests
    path, _, query = asked.path.partition("?")
    assert (asked.method, path, query) == (RECORDED["method"], RECORDED["path"], RECORDED["query"])
    assert {name: asked.headers.get(name) for name in RECORDED["headers"]} == RECORDED["headers"]
    assert asked.body == RECORDED["body"]


def test_picture_comes_as_the_provider_gave_it(server: FakeGemini) -> None:
    first, second = draw(server), draw(server)
    assert Image.open(io.BytesIO(first.data)).format == "PNG"
    assert first.media_type == "image/png"
    assert first.data != second.data


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        pytest.param(gemini.not_a_picture(), (b"<html>This is no picture.</html>", "image/png"), id="none"),
        pytest.param(
            gemini.picture(data=b"GIF89a", media_type="image/jpeg"), (b"GIF89a", "image/jpeg"), id="other-type"
        ),
        pytest.param(gemini.picture(data=b"last", thought=b"draft"), (b"last", "image/png"), id="behind-a-draft"),
    ],
)
def test_what_is_no_picture_or_another_one_is_left_to_the_engine(
    behaviour: Behaviour, expected: tuple[bytes, str], server: FakeGemini
) -> None:
    server.script("", behaviour)
    drawn = draw(server)
    assert (drawn.data, drawn.media_type) == expected


@pytest.mark.parametrize(
    ("behaviour", "told"),
    [
        (gemini.blocked("PROHIBITED_CONTENT"), "PROHIBITED_CONTENT"),
        (gemini.refused("IMAGE_SAFETY"), "IMAGE_SAFETY"),
        (gemini.refused("RECITATION", "Too like a film."), "Too like a film."),
        (gemini.words("I would rather write about it."), "I would rather write about it."),
        (gemini.error(400, "INVALID_ARGUMENT", "The prompt is empty."), "The prompt is empty."),
        (gemini.error(404, "NOT_FOUND", "models/nowhere is not found."), "models/nowhere is not found."),
    ],
    ids=["prompt", "picture", "with-words", "words-only", "bad-request", "no-such-model"],
)
def test_refusal_is_final_and_says_why(behaviour: Behaviour, told: str, server: FakeGemini) -> None:
    error = failure(server, behaviour)
    assert isinstance(error, PermanentError)
    assert error.code is ErrorCode.PROVIDER_REFUSED
    assert told in error.detail


@pytest.mark.parametrize(
    "behaviour",
    [
        gemini.bad_key(),
        gemini.error(401, "UNAUTHENTICATED", f"The key {KEY} is not known."),
        gemini.error(403, "PERMISSION_DENIED", f"{KEY}{KEY} has been suspended."),
        gemini.error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
        gemini.error(302, "FOUND", "over there", Location="http://127.0.0.1:1/"),
    ],
    ids=["invalid", "unknown", "suspended", "region", "redirect"],
)
def test_what_the_operator_has_to_mend_is_final_and_never_tells_the_key(
    behaviour: Behaviour, server: FakeGemini
) -> None:
    error = failure(server, behaviour)
    assert isinstance(error, PermanentError)
    assert error.code is ErrorCode.PROVIDER_UNAVAILABLE


@pytest.mark.parametrize(
    ("behaviour", "wait"),
    [
        (gemini.busy(7), 7),
        (gemini.busy(retry_info="53.5s"), 53.5),
        (gemini.busy(3, retry_info="53s"), 3),
        (gemini.busy(), None),
        (gemini.busy(retry_info="soon"), None),
        (gemini.broken(500), None),
        (gemini.broken(503), None),
        (gemini.broken(408), None),
        (gemini.garbage(), None),
        (gemini.garbage(b""), None),
        (gemini.garbage(b"[" * 200_000), None),
        (gemini.garbage(b"\xff\xfe"), None),
        (gemini.garbage(b'{"candidates": [{"content": {"parts": [{"inlineData": 7}, 8]}}, null, []]}'), None),
        (gemini.broken_base64(), None),
        (gemini.picture(data=b""), None),
        (gemini.refused("NO_IMAGE"), None),
        (gemini.hang_up(), None),
    ],
    ids=[
        *("retry-after", "retry-info", "header-first", "429", "unreadable-info", "500", "503", "408"),
        *("half-json", "nothing", "deep-json", "not-utf-8", "other-json", "base64", "empty", "no-image", "hang-up"),
    ],
)
def test_what_may_pass_is_transient(behaviour: Behaviour, wait: float | None, server: FakeGemini) -> None:
    error = failure(server, behaviour)
    assert isinstance(error, TransientError)
    assert (error.code, error.retry_after) == (ErrorCode.PROVIDER_UNAVAILABLE, wait)


def test_429_and_then_a_picture(server: FakeGemini) -> None:
    server.script("", gemini.busy(1), gemini.picture())
    with pytest.raises(TransientError):
        draw(server)
    assert draw(server).data
    assert len(server.requests) == 2


@pytest.mark.parametrize("behaviour", [gemini.hang(), gemini.drip()], ids=["hangs", "drips"])
def test_provider_that_never_finishes_hits_the_total_deadline(behaviour: Behaviour, server: FakeGemini) -> None:
    for timeout in (0.5, 15):
        server.forget()
        server.script("", behaviour)
        started = time.monotonic()
        with pytest.raises(WorkError) as caught:
            draw(server, timeout=timeout)
        took = time.monotonic() - started
        if isinstance(caught.value, LostPicture) and was_asked(server):
            break
        # The machine stood still before the request was sent: nobody was asked for a picture.
    assert took < 30, "half of what the server takes"
    assert isinstance(caught.value, LostPicture), "it may have drawn one"
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert len(server.requests) == 1


def was_asked(server: FakeGemini) -> bool:
    """By one who has given up: what it sent, if it sent all, is read soon, and else never."""
    # Counted in looks, not in seconds: while this process stands still, its server does too.
    return any(server.requests or time.sleep(0.02) for _ in range(250))


def test_picture_of_50_mb_is_refused_by_its_announced_size(server: FakeGemini) -> None:
    error = failure(server, gemini.huge(50_000_000))
    assert isinstance(error, UnfitPicture), "it has drawn one"
    assert error.code is ErrorCode.TOO_LARGE
    assert "30,000,000 bytes" in error.detail


def test_provider_that_does_not_listen_may_come_back() -> None:
    with pytest.raises(TransientError) as caught:
        draw(FakeGemini(f"http://127.0.0.1:{closed_port()}"))
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE


def test_base_url_at_a_private_address_is_guarded_too(server: FakeGemini) -> None:
    with pytest.raises(PermanentError) as caught:
        draw(server, egress=EgressClient(EgressSettings()))
    assert caught.value.code is ErrorCode.PROVIDER_UNAVAILABLE
    assert server.requests == []


def test_key_is_in_no_log_error_or_representation(server: FakeGemini, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.script("", gemini.bad_key())
    there = provider(server)
    with pytest.raises(WorkError) as caught:
        there.draw(Subject("Edamame", "前菜", "枝豆"))
    assert "[key]" in caught.value.detail
    assert KEY not in repr(caught.value) + repr(there) + repr(vars(there)) + caplog.text + there.identity


def test_threads_share_one_provider() -> None:
    together = threading.Barrier(4, timeout=60)

    def meet(exchange: gemini.Exchange) -> None:
        together.wait()
        gemini.picture()(exchange)

    # A server of its own: the exchange of a client that gave up may last a moment longer than its test.
    with running_gemini() as server, ThreadPoolExecutor(4) as threads:
        server.script("", meet)
        there = provider(server, timeout=120)
        drawn = list(threads.map(lambda number: there.draw(Subject("", "", f"dish {number}")), range(4)))
    assert len({picture.data for picture in drawn}) == 4
    assert server.most_at_once == 4
    assert sorted(request.prompt for request in server.requests) == [f"dish {number}" for number in range(4)]


def test_identity_says_what_decides_a_picture(server: FakeGemini) -> None:
    one = provider(server)
    assert one.identity == provider(server, gemini_key="other", timeout=9).identity
    assert one.identity != provider(server, gemini_model="other").identity
    assert one.identity != provider(server, gemini_aspect_ratio="3:4").identity
    assert one.identity != provider(server, gemini_url="http://127.0.0.1:1").identity, "another server's are not its"
    assert provider(server, gemini_price=0.0336).price == 33_600
