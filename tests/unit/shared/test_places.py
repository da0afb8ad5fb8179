"""Addresses in users' storage: what is one, what lies below what, and that nothing leads out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixmill_shared.domain.places import InvalidPlace, Place
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.places import DestinationSettings, SourceSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore
from pixmill_shared.storage.places import PlaceNotAllowed, Places
from pixmill_shared.storage.signing import FileUrlSigner

SIGNER = FileUrlSigner(lambda: ["k" * 32])


def places(*allowed: str, own: str = "file:///var/lib/pixmill") -> Places:
    return Places(
        "PIXMILL_SOURCES", [Place.parse(text) for text in allowed], StorageSettings(url=own), SIGNER, "http://x"
    )


@pytest.mark.parametrize(
    "text",
    ["s3://bucket", "s3://bucket/a/b c/ü.jpg", "gs://b/p", "az://container/p", "file:///srv/out", "s3://b/a+b~(1)@x=y"],
)
def test_address_is_read_as_it_is_written(text: str) -> None:
    assert str(Place.parse(text)) == text == str(Place.parse(text + "/"))


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "bucket/a",
            "http://b/a",
            "S3://b/a",
            "s3:/b/a",
            "s3://",
            "s3:///a",
            "file://host/a",
            "file:///",
            "file://",
        ),
        *("s3://b/../a", "s3://b/a/..", "s3://b/./a", "s3://b//a", "s3://b/a//", "file:///a/../etc"),
        *("s3://b/%2e%2e/a", "s3://b/a%2Fb", "s3://b/a?x=1", "s3://b/a#1", "s3://b/a\\b", "s3://b/a\nb", "s3://b/a\0"),
        *("s3://user@b/a", "s3://b:80/a", "s3://.b/a", "s3://b%2f/a", "s3://b/\ud800", f"s3://b/{'a' * 201}"),
        f"s3://b/{'/'.join(['a' * 100] * 10)}",
    ],
)
def test_what_a_store_might_read_in_its_own_way_is_refused(text: str) -> None:
    with pytest.raises(InvalidPlace):
        Place.parse(text)


@pytest.mark.parametrize(
    ("prefix", "inside", "outside"),
    [
        (
            "s3://b/a",
            ["s3://b/a", "s3://b/a/x", "s3://b/a/x/y"],
            ["s3://b/ab", "s3://b", "s3://c/a", "gs://b/a", "s3://b/A"],
        ),
        ("s3://b", ["s3://b", "s3://b/x"], ["s3://bb/x", "s3://b.c/x", "file:///b/x"]),
        ("file:///srv/in", ["file:///srv/in/x"], ["file:///srv/inn/x", "file:///srv", "file:///srv/x"]),
    ],
)
def test_prefix_holds_whole_segments_below_it_only(prefix: str, inside: list[str], outside: list[str]) -> None:
    found = places(prefix)
    for text in inside:
        assert found.check(Place.parse(text)) == Place.parse(prefix)
    for text in outside:
        with pytest.raises(PlaceNotAllowed, match="PIXMILL_SOURCES"):
            found.check(Place.parse(text))


@given(st.text(max_size=40))
def test_whatever_a_key_is_it_stays_below_its_prefix(key: str) -> None:
    prefix = Place.parse("s3://b/a")
    try:
        found = prefix.below(key)
    except InvalidPlace:
        return
    assert prefix.holds(found)
    assert Place.parse(str(found)) == found
    assert prefix.key_of(found) == key
    assert not {"", ".", ".."} & set(found.segments)


def test_store_is_opened_once_a_prefix_and_takes_the_rest_as_key(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("places")
    (root / "in").mkdir()
    (root / "in" / "a b").mkdir()
    found = places((root / "in").as_uri())
    store, key = found.find(Place.parse(f"{(root / 'in').as_uri()}/a b/c.jpg"))
    again, _ = found.find(Place.parse(f"{(root / 'in').as_uri()}/other"))
    assert key == "a b/c.jpg"
    assert store is again


@pytest.mark.parametrize(
    ("own", "prefix"),
    [
        ("s3://b/pixmill", "s3://b"),
        ("s3://b/pixmill", "s3://b/pixmill/renditions"),
        ("s3://b", "s3://b/public"),
        ("file:///data", "file:///data/out"),
        ("file:///data/a%20b", "file:///data"),
    ],
)
def test_prefix_that_overlaps_with_the_own_storage_is_refused(own: str, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PIXMILL_SOURCES: .* overlap"):
        places(prefix, own=own)
    assert places("s3://b/pixmill2", own="s3://b/pixmill").allowed


def test_settings_list_prefixes_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (SourceSettings.load().prefixes, DestinationSettings.load().prefixes) == ((), ())
    monkeypatch.setenv("PIXMILL_DESTINATIONS", "s3://b/a, file:///srv/out/ ,")
    assert list(map(str, DestinationSettings.load().prefixes)) == ["s3://b/a", "file:///srv/out"]


@pytest.mark.parametrize("value", ["b/a", "s3://b/..", "s3://b/a b", "s3://b/a;s3://c/%41"])
def test_wrong_prefix_in_the_settings_is_told_with_its_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_SOURCES", value)
    with pytest.raises(ConfigurationError, match="PIXMILL_SOURCES"):
        SourceSettings.load()


def test_store_of_a_prefix_is_a_bucket_with_the_credentials_of_the_settings() -> None:
    settings = StorageSettings(url="file:///x", aws_access_key_id="a", aws_secret_access_key="b")
    found = Places("V", [Place.parse("s3://bucket/prefix")], settings, SIGNER, "http://x")
    store: ObjectStore = found.find(Place.parse("s3://bucket/prefix/a/b"))[0]
    assert type(store).__name__ == "BucketStore"
