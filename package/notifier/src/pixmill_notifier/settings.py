"""When people are alarmed, where they are told, and how patient deliveries are."""

import datetime
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from pixmill_notifier.domain.alerts import Policy
from pixmill_notifier.domain.mail import MailServer, parse_addresses, parse_smtp_url
from pixmill_notifier.domain.rules import DISK_MARGIN, Thresholds
from pixmill_shared.settings.base import Settings, refuse_placeholder


class DeliverySettings(Settings):
    """The schedule of the tries is fixed: ``domain/backoff.py`` of pixmill-shared."""

    host_concurrency: int = Field(
        default=0,
        ge=0,
        validation_alias="PIXMILL_WEBHOOK_HOST_CONCURRENCY",
        description="webhooks that a notifier sends to one host at once; 0: half of its threads",
    )
    breaker_failures: int = Field(
        default=3,
        ge=1,
        validation_alias="PIXMILL_WEBHOOK_BREAKER_FAILURES",
        description="tries in a row without an answer after which a host is left alone, for 30 s and longer",
    )
    disable_after: int = Field(
        default=432_000,
        ge=3600,
        validation_alias="PIXMILL_WEBHOOK_DISABLE_AFTER",
        description="seconds after which an endpoint that fails all the while is disabled, 5 days by default",
    )

    def host_limit(self, threads: int) -> int:
        """Of a notifier with so many ``threads``."""
        return self.host_concurrency or max(1, threads // 2)


class AlertSettings(Settings):
    """Thresholds of the rules; each rule is silent while nothing is known of what it watches."""

    service_checks: int = Field(
        default=2,
        ge=1,
        validation_alias="PIXMILL_ALERT_SERVICE_CHECKS",
        description="checks that must fail in a row before a service counts as down",
    )
    queue_age: float = Field(
        default=600,
        gt=0,
        validation_alias="PIXMILL_ALERT_QUEUE_AGE",
        description="seconds that the oldest work of a queue may wait",
    )
    dead_letters: int = Field(
        default=1,
        ge=1,
        validation_alias="PIXMILL_ALERT_DEAD_LETTERS",
        description="new dead letters of a task in an hour that raise an alert",
    )
    failure_percent: float = Field(
        default=10,
        gt=0,
        le=100,
        validation_alias="PIXMILL_ALERT_FAILURE_PERCENT",
        description="percent of the jobs that may fail",
    )
    failure_jobs: int = Field(
        default=50,
        ge=1,
        validation_alias="PIXMILL_ALERT_FAILURE_JOBS",
        description="jobs that must have ended before their failure rate is judged",
    )
    failure_window: int = Field(
        default=900,
        ge=60,
        le=86_400,
        validation_alias="PIXMILL_ALERT_FAILURE_WINDOW",
        description="seconds over which the failure rate is taken",
    )
    disk_percent: float = Field(
        default=85,
        gt=DISK_MARGIN,
        le=100,
        validation_alias="PIXMILL_ALERT_DISK_PERCENT",
        description="percent of its disk that a storage directory may fill",
    )
    backup_age: float = Field(
        default=93_600,
        gt=0,
        validation_alias="PIXMILL_ALERT_BACKUP_AGE",
        description="seconds since the last backup, 26 hours by default",
    )
    remind: int = Field(
        default=21_600,
        ge=0,
        validation_alias="PIXMILL_ALERT_REMIND",
        description="seconds between reminders of an alert that lasts; 0: none",
    )
    calm: int = Field(
        default=600,
        ge=60,
        validation_alias="PIXMILL_ALERT_CALM",
        description="seconds that all must be well before the end of an alert is told",
    )

    @property
    def policy(self) -> Policy:
        return Policy(datetime.timedelta(seconds=self.remind), datetime.timedelta(seconds=self.calm))

    @property
    def failure_span(self) -> datetime.timedelta:
        return datetime.timedelta(seconds=self.failure_window)

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(
            checks=self.service_checks,
            queue_age=self.queue_age,
            letters=self.dead_letters,
            failure_percent=self.failure_percent,
            failure_jobs=self.failure_jobs,
            disk_percent=self.disk_percent,
            backup_age=self.backup_age,
        )


class ChannelSettings(Settings):
    """Where alerts and reports go, besides the log. An empty variable: that channel is off."""

    slack_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_ALERT_SLACK_URL",
        description="URL of an incoming webhook of Slack, Mattermost or what takes the same; a secret",
    )
    webhook_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_ALERT_WEBHOOK_URL",
        description="URL that gets alerts and reports as JSON, signed with PIXMILL_WEBHOOK_SECRET",
    )
    smtp_url: SecretStr = Field(
        default=SecretStr(""),
        validation_alias="PIXMILL_SMTP_URL",
        description="mail server: smtp://user:password@host:587?starttls, smtps://… or, without a login, smtp://host",
    )
    email_to: str = Field(
        default="",
        validation_alias="PIXMILL_ALERT_EMAIL_TO",
        description="addresses that get alerts and reports, comma separated",
    )
    email_from: str = Field(
        default="", validation_alias="PIXMILL_ALERT_EMAIL_FROM", description="address that they come from"
    )
    timeout: float = Field(
        default=20,
        gt=0,
        le=120,
        validation_alias="PIXMILL_ALERT_TIMEOUT",
        description="seconds for handing one message to one channel, all in all",
    )

    @field_validator("slack_url", "webhook_url")
    @classmethod
    def _http(cls, value: SecretStr) -> SecretStr:
        # No message shows the value: who knows such a URL may write to the channel.
        text = value.get_secret_value()
        if not text:
            return value
        refuse_placeholder(text, "", "Set the URL that the other side gave you, or leave it empty.")
        try:
            parts = urlsplit(text)
            usable = (
                parts.scheme in ("http", "https")
                and bool(parts.hostname)
                and "@" not in parts.netloc
                and parts.port != 0
            )
        except ValueError:
            usable = False
        if not usable:
            raise ValueError("must be a URL like https://hooks.example.com/…, without a login.")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _mail_server(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            refuse_placeholder(value.get_secret_value(), "", "Set the login of your mail server, or leave it empty.")
            parse_smtp_url(value.get_secret_value())
        return value

    @field_validator("email_to")
    @classmethod
    def _addresses(cls, value: str) -> str:
        parse_addresses(value)
        return value

    @field_validator("email_from")
    @classmethod
    def _one_address(cls, value: str) -> str:
        if len(parse_addresses(value)) > 1:
            raise ValueError("must be one address.")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {
            "PIXMILL_SMTP_URL": bool(self.smtp_url.get_secret_value()),
            "PIXMILL_ALERT_EMAIL_TO": bool(self.recipients),
            "PIXMILL_ALERT_EMAIL_FROM": bool(self.email_from.strip()),
        }
        if any(given.values()) and not all(given.values()):
            missing = " and ".join(name for name, there in given.items() if not there)
            raise ValueError(f"{missing} is empty, and mail needs all three of {', '.join(given)}.")
        return self

    @property
    def mail_server(self) -> MailServer | None:
        text = self.smtp_url.get_secret_value()
        return parse_smtp_url(text) if text else None

    @property
    def recipients(self) -> tuple[str, ...]:
        return parse_addresses(self.email_to)
