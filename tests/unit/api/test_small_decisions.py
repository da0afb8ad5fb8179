"""Ids, cursors, media types, request ids, file names, and which address is this machine alone."""

import uuid

import pytest

from pixmill_api.domain.ids import cursor_of, parse_cursor, parse_id
from pixmill_api.domain.media_types import upload_type
from pixmill_api.middleware import request_id_of
from pixmill_api.service.serving import content_disposition
from pixmill_api.settings import ApiSettings, is_loopback, refuse_exposure
from pixmill_api.settings.inline import environment_for_providers, environment_without_keys
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.process import ListenSettings


def test_only_the_canonical_form_is_an_id() -> None:
    one = uuid.uuid4()
    assert parse_id(str(one)) == parse_id(str(one).upper()) == one
    for other in (one.hex, f"{{{one}}}", f"urn:uuid:{one}", "", "x", str(one) + " "):
        assert parse_id(other) is None


def test_cursor_comes_back_and_nothing_else_is_one() -> None:
    one = uuid.uuid4()
    assert parse_cursor(cursor_of(one)) == one
    for other in ("", "x", "é", "\x00", cursor_of(one) + "AAAA", cursor_of(one)[:-4], "=" * 22):
        assert parse_cursor(other) is None


@pytest.mark.parametrize(
    ("declared", "noted"),
    [
        ("image/jpeg", "image/jpeg"),
        ("Image/PNG; q=1", "image/png"),
        ("image/svg+xml", "image/svg+xml"),
        ("application/octet-stream", "application/octet-stream"),
        (None, "application/octet-stream"),
        ("", "application/octet-stream"),
        ("text/html", None),
        ("image/", None),
        ("image/" + "x" * 100, None),
        ("image/\x7f", None),
        ("imagejpeg", None),
    ],
)
def test_media_type_of_an_upload(declared: str | None, noted: str | None) -> None:
    assert upload_type(declared) == noted


def test_request_id_is_taken_if_sane() -> None:
    assert request_id_of("a.B-c_9") == "a.B-c_9"
    for insane in (None, "", "a b", "a\n", "x" * 129, "é"):
        assert request_id_of(insane) != insane


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("web.webp", 'inline; filename="web.webp"'),
        ('a";\r\nX: b.png', "inline; filename=\"aX b.png\"; filename*=UTF-8''a%22%3B%0D%0AX%3A%20b.png"),
        ("é.png", "inline; filename=\".png\"; filename*=UTF-8''%C3%A9.png"),
        ("", 'inline; filename="file"'),
    ],
)
def test_file_name_cannot_leave_its_header(name: str, expected: str) -> None:
    assert content_disposition(name) == expected


@pytest.mark.parametrize(
    ("bind", "alone"), [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True)]
)
def test_loopback_is_this_machine(bind: str, alone: bool) -> None:
    assert is_loopback(bind) is alone


@pytest.mark.parametrize("bind", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", ""])
def test_keys_off_are_refused_on_anything_else(bind: str) -> None:
    listen = ListenSettings(bind=bind)
    refuse_exposure(ApiSettings(auth="on"), listen)
    with pytest.raises(ConfigurationError, match="PIXMILL_AUTH"):
        refuse_exposure(ApiSettings(auth="off"), listen)


def test_who_decodes_has_no_key_and_who_asks_providers_has_theirs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"DATABASE_URL", "GEMINI_API_KEY", "PIXMILL_SECRET_KEY", "PIXMILL_WEBHOOK_SECRET"}
    for name in names:
        monkeypatch.setenv(name, "x")
    assert environment_without_keys().keys() & names == {"DATABASE_URL"}
    assert environment_for_providers().keys() & names == {"DATABASE_URL", "GEMINI_API_KEY"}
