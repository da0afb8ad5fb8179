"""Settings of alerts and channels: safe defaults, and errors that show no secret."""

import re

import pytest

from pixmill_notifier.settings import AlertSettings, ChannelSettings
from pixmill_shared.errors import ConfigurationError

SECRET = "T000/B000/hunter2"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for cls in (AlertSettings, ChannelSettings):
        for field in cls.model_fields.values():
            monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("PIXMILL_ENV", "production")


def test_without_a_variable_only_the_log_is_told() -> None:
    channels = ChannelSettings.load()
    assert (channels.slack_url.get_secret_value(), channels.webhook_url.get_secret_value()) == ("", "")
    assert (channels.mail_server, channels.recipients) == (None, ())


def test_defaults_are_those_of_the_documentation() -> None:
    limits = AlertSettings.load().thresholds
    assert (limits.checks, limits.queue_age, limits.failure_percent, limits.failure_jobs) == (2, 600, 10, 50)
    assert (limits.disk_percent, limits.backup_age, limits.letters) == (85, 26 * 3600, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIXMILL_ALERT_SLACK_URL", f"ftp://hooks.example.com/{SECRET}"),
        ("PIXMILL_ALERT_SLACK_URL", f"https://u:{SECRET}@hooks.example.com/"),
        ("PIXMILL_ALERT_SLACK_URL", f"https://hooks.example.com/changeme/{SECRET}"),
        ("PIXMILL_ALERT_WEBHOOK_URL", SECRET),
        ("PIXMILL_SMTP_URL", "smtp://u:hunter2changeme@mail?starttls"),
        ("PIXMILL_SMTP_URL", "smtp://u:hunter2@mail"),
    ],
)
def test_wrong_secret_stops_the_process_with_a_message_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as caught:
        ChannelSettings.load()
    assert "hunter2" not in str(caught.value)


def test_half_of_the_mail_settings_is_refused_by_the_name_of_the_other_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_SMTP_URL", "smtps://u:hunter2@mail")
    with pytest.raises(ConfigurationError, match=re.escape("PIXMILL_ALERT_EMAIL_TO and PIXMILL_ALERT_EMAIL_FROM")):
        ChannelSettings.load()


def test_secrets_are_not_in_the_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_ALERT_SLACK_URL", f"https://hooks.example.com/{SECRET}")
    assert "hunter2" not in repr(ChannelSettings.load())
