"""Copies inside a store, and bytes that come from outside."""

import datetime
import time

import httpx
import pytest
from tests.integration.storage.conftest import Place, opened

from pixmill_shared.storage import InvalidKey, ObjectNotFound, ObjectStore
from pixmill_shared.storage.store import SignedPut


def soon(seconds: float = 60) -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)


def signed(place: Place, key: str, seconds: float = 60) -> SignedPut:
    found = place.store.signed_put(key, soon(seconds), "image/webp")
    assert found is not None
    return found


def test_a_copy_stays_when_its_source_is_replaced_or_deleted(store: ObjectStore) -> None:
    store.put("incoming/a", b"the first", "image/webp")
    store.copy("incoming/a", "uploads/a.1")
    store.put("incoming/a", b"the second", "image/webp")
    assert store.get("uploads/a.1") == b"the first"
    store.delete("incoming/a")
    assert store.get("uploads/a.1") == b"the first"
    assert {info.key for info in store.list("")} == {"uploads/a.1"}


def test_a_copy_of_nothing_is_not_found(store: ObjectStore) -> None:
    store.put("b", b"1", "image/webp")
    with pytest.raises(ObjectNotFound):
        store.copy("a", "c")
    assert {info.key for info in store.list("")} == {"b"}


@pytest.mark.parametrize("key", ["../secret", "", "a\\b"])
def test_a_bad_key_is_refused(store: ObjectStore, key: str) -> None:
    store.put("a", b"1", "image/webp")
    for refused in (
        lambda: store.copy(key, "b"),
        lambda: store.copy("a", key),
        lambda: store.media_type(key),
        lambda: store.signed_put(key, soon(), "image/webp"),
    ):
        with pytest.raises(InvalidKey):
            refused()


def test_a_bucket_tells_the_media_type_of_an_object_and_a_directory_has_none(place: Place) -> None:
    place.store.put("a", b"", "image/webp")
    is_bucket = place.settings.url.startswith("s3://")
    assert place.store.media_type("a") == ("image/webp" if is_bucket else None)
    with pytest.raises(ObjectNotFound):
        place.store.media_type("b")


def test_a_directory_signs_no_puts(directory: Place) -> None:
    assert directory.store.signed_put("a", soon(), "image/webp") is None


def test_a_signed_put_writes_its_object_and_no_other(bucket: Place) -> None:
    put = signed(bucket, "incoming/a")
    answer = httpx.put(put.url, content=b"bytes", headers=put.headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    assert bucket.store.get("incoming/a") == b"bytes"
    assert bucket.store.media_type("incoming/a") == "image/webp"
    forged = put.url.replace("/a?", "/b?")
    assert httpx.put(forged, content=b"bytes", headers=put.headers, trust_env=False, timeout=60).status_code == 403
    assert httpx.get(put.url, trust_env=False, timeout=60).status_code == 403
    assert httpx.delete(put.url, trust_env=False, timeout=60).status_code == 403
    assert {info.key for info in bucket.store.list("")} == {"incoming/a"}


def test_a_signed_put_ends(bucket: Place) -> None:
    put = signed(bucket, "a", seconds=1)
    deadline = time.monotonic() + 60
    while httpx.put(put.url, content=b"1", headers=put.headers, trust_env=False, timeout=60).status_code != 403:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_urls_are_signed_for_another_address_where_browsers_need_one(bucket: Place) -> None:
    seen = bucket.settings.aws_endpoint_url.replace("127.0.0.1", "localhost")
    settings = bucket.settings.model_copy(update={"aws_public_endpoint_url": seen})
    place = Place(opened(settings), settings, list)
    put = signed(place, "a")
    assert put.url.startswith(f"{seen}/")
    assert httpx.put(put.url, content=b"bytes", headers=put.headers, trust_env=False, timeout=60).status_code == 200
    assert place.store.get("a") == b"bytes"
    url = place.store.signed_url("a", soon(), "image/webp", "a.webp")
    assert url.startswith(f"{seen}/")
    assert httpx.get(url, trust_env=False, timeout=60).content == b"bytes"
    # The signature holds for the address that it was made for.
    elsewhere = url.replace("localhost", "127.0.0.1")
    assert httpx.get(elsewhere, trust_env=False, timeout=60).status_code == 403
