"""A storage that cannot work is refused when a process starts, with a message that says what to do."""

import pytest

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.storage import StorageSettings

KEYS = {"AWS_ACCESS_KEY_ID": "whose-key", "AWS_SECRET_ACCESS_KEY": "hush-hush"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):
    def load_from(**variables: str) -> StorageSettings:
        for name in (*KEYS, "PIXMILL_STORAGE_URL", "AWS_ENDPOINT_URL", "AWS_REGION", "PIXMILL_STORAGE_TIMEOUT"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return StorageSettings.load()

    return load_from


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "is empty"),
        ("/var/lib/pixmill", "must begin with one of"),
        ("http://bucket", "must begin with one of"),
        ("s3:bucket", "must begin with one of"),
        ("file://data", "three slashes"),
        ("file://./data", "three slashes"),
        ("file:///", "absolute path"),
        ("file:///a/../b", "absolute path"),
        ("file:///a%00b", "absolute path"),
        ("file:///a?b", "no ?"),
        ("s3://", "must name a bucket"),
        ("s3:///prefix", "must name a bucket"),
        ("gs://", "must name a bucket"),
        ("az://", "must name a bucket"),
        ("s3://key:hush-hush@bucket", "without login"),
        ("s3://bucket:9000/prefix", "without login or port"),
        ("s3://my bucket", "must name a bucket"),
        ("s3://bucket/a/../b", "no `..`"),
        ("s3://bucket//b", "no empty segment"),
        ("s3://bucket/a%20b", "no %"),
        ("s3://bucket?region=x", "no ?"),
    ],
)
def test_a_wrong_url_is_refused_by_name_and_never_shown(load, url: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(PIXMILL_STORAGE_URL=url)
    message = str(caught.value)
    assert message.startswith("PIXMILL_STORAGE_URL: ")
    assert says in message
    assert "file:///var/lib/pixmill" in message  # what to write instead
    assert "hush-hush" not in message


@pytest.mark.parametrize(
    ("given", "missing"),
    [("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")],
)
def test_half_of_the_credentials_is_refused(load, given: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{missing} is empty") as caught:
        load(PIXMILL_STORAGE_URL="s3://bucket", **{given: KEYS[given]})
    assert KEYS[given] not in str(caught.value)


def test_a_server_of_ones_own_needs_keys(load) -> None:
    with pytest.raises(ConfigurationError, match="no keys for it are set"):
        load(PIXMILL_STORAGE_URL="s3://bucket", AWS_ENDPOINT_URL="http://127.0.0.1:9000")


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "s3.example.com", "ftp://x", "https://", "https://id:hush-hush@x"])
def test_a_server_must_be_a_url(load, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"AWS_ENDPOINT_URL: must be like https://") as caught:
        load(PIXMILL_STORAGE_URL="s3://bucket", AWS_ENDPOINT_URL=url, **KEYS)
    assert "hush-hush" not in str(caught.value)


def test_a_placeholder_is_refused_in_production(load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_ENV", "production")
    with pytest.raises(ConfigurationError, match="AWS_SECRET_ACCESS_KEY: still has the placeholder"):
        load(PIXMILL_STORAGE_URL="s3://bucket", AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="changeme")


@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9000", "https://x.example.com/storage/v1/s3"])
def test_a_bucket_with_keys_is_accepted(load, endpoint: str) -> None:
    settings = load(PIXMILL_STORAGE_URL="s3://bucket/a/b", AWS_ENDPOINT_URL=endpoint, **KEYS)
    assert settings.directory == ""


def test_a_bucket_of_aws_may_take_its_keys_from_the_machine(load) -> None:
    assert load(PIXMILL_STORAGE_URL="s3://bucket").directory == ""


def test_a_directory_is_an_absolute_path_and_needs_no_keys(load) -> None:
    assert load(PIXMILL_STORAGE_URL="file:///srv/my%20pictures/%C3%BC").directory == "/srv/my pictures/ü"
    assert load(PIXMILL_STORAGE_URL="file:///srv", AWS_ACCESS_KEY_ID="of something else").directory == "/srv"
