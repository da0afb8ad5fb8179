"""Where mail is handed over, as settings say it."""

import pytest

from pixmill_notifier.domain.mail import MailServer, Security, parse_addresses, parse_smtp_url


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (
            "smtp://ops%40example.com:p%2Fw@mail.example.com:2525?starttls",
            MailServer("mail.example.com", 2525, Security.STARTTLS, "ops@example.com", "p/w"),
        ),
        ("smtp://mail.example.com?starttls", MailServer("mail.example.com", 587, Security.STARTTLS)),
        ("smtps://u:p@mail.example.com", MailServer("mail.example.com", 465, Security.TLS, "u", "p")),
        ("smtp://mail", MailServer("mail", 25, Security.NONE)),
        ("smtp://u:p@127.0.0.1:25", MailServer("127.0.0.1", 25, Security.NONE, "u", "p")),
    ],
)
def test_url_names_host_port_encryption_and_login(url: str, server: MailServer) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        *("http://u:hunter2@mail", "smtp://", "smtp://u:hunter2@:25", "smtp://u:hunter2@mail:0", "smtp://m:99999"),
        *("smtp://u:hunter2@mail?tls", "smtp://u:hunter2@mail/x", "smtp://hunter2@mail?starttls", "smtps://m?starttls"),
        "smtp://u:hunter2@mail:25",
    ],
)
def test_url_that_is_wrong_or_would_show_the_password_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"PIXMILL|smtp://user") as caught:
        parse_smtp_url(url)
    assert "hunter2" not in str(caught.value)


def test_password_is_not_in_the_representation() -> None:
    assert "hunter2" not in repr(parse_smtp_url("smtps://u:hunter2@mail"))


def test_addresses_are_separated_by_commas() -> None:
    assert parse_addresses(" a@example.com ,b@example.org,") == ("a@example.com", "b@example.org")
    assert parse_addresses("") == ()


@pytest.mark.parametrize("text", ["ops", "a@b c", "a@example.com\nBcc: x@y.z", "@example.com", "a@", "a@b,<script>"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="addresses like"):
        parse_addresses(text)
