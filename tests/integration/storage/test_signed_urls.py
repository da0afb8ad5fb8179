"""A bucket's URLs open with any HTTP client until they expire, and only as they were signed."""

import datetime
import re
import time

import httpx
import pytest
from tests.integration.storage.conftest import Place

from pixmill_shared.storage import StorageUnavailable


def signed(place: Place, key: str, seconds: float = 60) -> str:
    expires_at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return place.store.signed_url(key, expires_at, "image/webp", "web.webp")


def status(url: str) -> int:
    return httpx.get(url, trust_env=False, timeout=60).status_code


@pytest.mark.parametrize("key", ["renditions/ab/cd.webp", "ü/a b?c&d=%20+#x"])
def test_a_signed_url_opens_and_has_the_media_type(bucket: Place, key: str) -> None:
    bucket.store.put(key, b"the bytes", "image/webp")
    bucket.store.put_stream("streamed", iter([b"the ", b"bytes"]), "image/avif")
    for url, media_type in ((signed(bucket, key), "image/webp"), (signed(bucket, "streamed"), "image/avif")):
        answer = httpx.get(url, trust_env=False, timeout=60)
        assert (answer.status_code, answer.content) == (200, b"the bytes")
        assert answer.headers["content-type"] == media_type


def test_without_a_signature_nothing_opens(bucket: Place) -> None:
    bucket.store.put("a", b"secret", "image/webp")
    assert status(signed(bucket, "a").partition("?")[0]) == 403


def test_a_changed_url_is_refused(bucket: Place) -> None:
    bucket.store.put("a", b"mine", "image/webp")
    bucket.store.put("b", b"another's", "image/webp")
    url = signed(bucket, "a")
    assert status(url) == 200
    forged = (
        url.replace("/a?", "/b?"),
        re.sub(r"X-Amz-Expires=\d+", "X-Amz-Expires=86400", url),
        re.sub(r"(X-Amz-Signature=)(.)", lambda m: m[1] + ("0" if m[2] != "0" else "1"), url),
        url + "&response-content-type=text/html",
    )
    for each in forged:
        assert each != url
        assert status(each) == 403, each
    assert httpx.put(url, content=b"overwritten", trust_env=False, timeout=60).status_code == 403
    assert bucket.store.get("a") == b"mine"


def test_a_url_is_refused_once_it_expired(bucket: Place) -> None:
    bucket.store.put("a", b"1", "image/webp")
    url = signed(bucket, "a", seconds=3)
    if status(url) != 200:  # over already: the machine stood still
        url = signed(bucket, "a", seconds=20)
        assert status(url) == 200
    deadline = time.monotonic() + 60
    while status(url) == 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert status(url) == 403


def test_a_url_that_never_was_valid_for_long_ends_within_a_second(bucket: Place) -> None:
    assert "X-Amz-Expires=1&" in signed(bucket, "a", seconds=-100)


def test_a_url_beyond_what_buckets_allow_is_refused_by_the_server(bucket: Place) -> None:
    bucket.store.put("a", b"1", "image/webp")
    assert status(signed(bucket, "a", seconds=8 * 86_400)) in (400, 403)


def test_signing_needs_no_server(bucket: Place) -> None:
    from tests.integration.storage.conftest import opened

    nowhere = bucket.settings.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"})
    place = Place(opened(nowhere), nowhere, list)
    assert signed(place, "a").startswith("http://127.0.0.1:9/pictures/")
    with pytest.raises(StorageUnavailable):
        place.store.get("a")
