"""Signed URLs of files: genuine ones open until they expire, everything else is refused without an exception."""

import datetime
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.storage.directory import DirectoryStore
from pixmill_shared.storage.signing import FileUrlSigner

NOW = datetime.datetime(2026, 11, 21, 12, 0, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(hours=1)
SIGNER = FileUrlSigner(["the current key"])
FIELDS = ("expires", "type", "name", "signature")

anything = st.text(st.characters(codec=None, exclude_categories=[]))  # lone surrogates and NUL too
writable = st.text(st.characters(codec="utf-8"))


def fields_of(query: str) -> dict[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))


def genuine(key: str = "renditions/a.webp", signer: FileUrlSigner = SIGNER) -> dict[str, str]:
    return fields_of(signer.query(key, LATER, "image/webp", "web.webp"))


def test_a_genuine_url_opens_until_it_expires() -> None:
    query = genuine()
    assert SIGNER.verify("renditions/a.webp", query, NOW)
    assert SIGNER.verify("renditions/a.webp", query, LATER - datetime.timedelta(seconds=1))
    assert not SIGNER.verify("renditions/a.webp", query, LATER)
    assert not SIGNER.verify("renditions/a.webp", query, LATER + datetime.timedelta(days=1))


def test_a_url_is_for_one_key() -> None:
    assert not SIGNER.verify("renditions/b.webp", genuine(), NOW)


def test_the_previous_key_still_opens_urls_and_signs_none() -> None:
    old, both = FileUrlSigner(["old"]), FileUrlSigner(["new", "old"])
    assert both.verify("k", genuine("k", old), NOW)
    assert both.verify("k", genuine("k", FileUrlSigner(["new"])), NOW)
    assert not old.verify("k", genuine("k", both), NOW)
    assert not both.verify("k", genuine("k", FileUrlSigner(["another"])), NOW)


@pytest.mark.parametrize("field", FIELDS)
def test_a_url_without_one_of_its_fields_is_refused(field: str) -> None:
    query = genuine()
    del query[field]
    assert not SIGNER.verify("renditions/a.webp", query, NOW)


@given(key=writable, kind=writable, name=writable)
def test_whatever_was_signed_is_verified(key: str, kind: str, name: str) -> None:
    assert SIGNER.verify(key, fields_of(SIGNER.query(key, LATER, kind, name)), NOW)


@given(field=st.sampled_from(FIELDS), value=anything)
def test_a_changed_field_is_refused(field: str, value: str) -> None:
    query = genuine()
    if query[field] != value:
        assert not SIGNER.verify("renditions/a.webp", {**query, field: value}, NOW)


@given(key=anything, query=st.dictionaries(st.one_of(st.sampled_from(FIELDS), anything), anything))
def test_garbage_is_refused_and_never_an_error(key: str, query: Mapping[str, str]) -> None:
    assert SIGNER.verify(key, query, NOW) is False


@pytest.mark.parametrize("expires", ["abc", "", "-1", "1e99", "٣", "9" * 5000, "inf", "nan", " 99999999999 ", "\ud800"])
def test_an_expiry_that_is_no_number_is_refused(expires: str) -> None:
    assert SIGNER.verify("renditions/a.webp", {**genuine(), "expires": expires}, NOW) is False


@given(parts=st.lists(st.sampled_from(["a", "b", "\n", ",", '"']), min_size=2, max_size=8), cut=st.integers(0, 7))
def test_text_cannot_move_from_one_field_into_the_next(parts: list[str], cut: int) -> None:
    text = "".join(parts)
    query = fields_of(SIGNER.query("k", LATER, "image/webp", text))
    moved = {**query, "type": "image/webp" + text[:cut], "name": text[cut:]}
    assert SIGNER.verify("k", moved, NOW) == (moved == query)


def test_a_url_of_the_directory_names_the_key_as_a_browser_can_send_it(tmp_path: Path) -> None:
    never_made = tmp_path / "objects"
    store = DirectoryStore(str(never_made), SIGNER, "https://pixmill.test")
    url = urlsplit(store.signed_url("ü/a b#c?d%.webp", LATER, "image/webp", "ü.webp"))
    assert (url.netloc, url.path, url.fragment) == ("pixmill.test", "/files/%C3%BC/a%20b%23c%3Fd%25.webp", "")
    assert SIGNER.verify("ü/a b#c?d%.webp", fields_of(url.query), NOW)
    assert not never_made.exists()  # who only signs needs no directory
