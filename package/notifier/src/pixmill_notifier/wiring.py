"""What the notifier works with, built when a process first needs it."""

import ssl
from functools import cache, partial
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from pixmill_notifier.channels import Channel
from pixmill_notifier.channels.email import EmailChannel
from pixmill_notifier.channels.log import LogChannel
from pixmill_notifier.channels.posting import Receiver
from pixmill_notifier.channels.rendering import Renderer
from pixmill_notifier.channels.slack import SlackChannel
from pixmill_notifier.channels.webhook import WebhookChannel
from pixmill_notifier.domain.gate import Gate
from pixmill_notifier.service.deliver import Courier
from pixmill_notifier.service.desk import Desk
from pixmill_notifier.service.message import signed_headers
from pixmill_notifier.service.messenger import Messenger
from pixmill_notifier.service.outcome import Patience
from pixmill_notifier.settings import AlertSettings, ChannelSettings, DeliverySettings
from pixmill_shared.repositories import clock
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.process import PublicSettings
from pixmill_shared.settings.secrets import WebhookSecretSettings


@cache
def courier() -> Courier:
    """Raises ConfigurationError if a setting is missing."""
    clients, settings = runtime(), DeliverySettings.load()
    return Courier(
        database=clients.database,
        store=clients.store,
        egress=clients.egress,
        sealer=clients.sealer,
        webhook_secret=_webhook_secret(),
        url_ttl=clients.storage_settings.url_ttl,
        timeout=EgressSettings.load().webhook_timeout,
        worker_name=clients.worker_name,
        lease=clients.work.lease,
        rng=clients.rng,
        gate=Gate(settings.host_limit(clients.threads)),
        patience=Patience(settings.breaker_failures, settings.disable_after),
    )


@cache
def desk() -> Desk:
    """Of the evaluation and the reports. Raises ConfigurationError."""
    clients, settings = runtime(), AlertSettings.load()
    return Desk(
        database=clients.database,
        channels=tuple(channels()),
        thresholds=settings.thresholds,
        policy=settings.policy,
        failure_window=settings.failure_span,
        directory=clients.storage_settings.directory,
        zone=ZoneInfo(BrokerSettings.load().timezone),
        clock=clock.now,
    )


@cache
def messenger() -> Messenger:
    """Raises ConfigurationError."""
    clients = runtime()
    return Messenger(
        database=clients.database,
        channels=channels(),
        lease=clients.work.lease,
        worker_name=clients.worker_name,
        rng=clients.rng,
    )


@cache
def channels() -> dict[str, Channel]:
    """Those that are set up, by the name that a message's row holds."""
    settings = ChannelSettings.load()
    renderer = Renderer(urlsplit(PublicSettings.load().base).netloc)
    found: dict[str, Channel] = {"log": LogChannel()}
    if settings.slack_url.get_secret_value():
        found["slack"] = SlackChannel(_receiver(settings.slack_url, settings), renderer)
    if settings.webhook_url.get_secret_value():
        sign = partial(signed_headers, (_webhook_secret(),))
        found["webhook"] = WebhookChannel(_receiver(settings.webhook_url, settings), sign)
    server = settings.mail_server
    if server is not None:
        found["email"] = EmailChannel(
            server=server,
            sender=settings.email_from,
            recipients=settings.recipients,
            tls=_tls(),
            timeout=settings.timeout,
            renderer=renderer,
        )
    return found


def _receiver(url: SecretStr, settings: ChannelSettings) -> Receiver:
    return Receiver(runtime().egress, url, settings.timeout)


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    ca_file = EgressSettings.load().ca_file
    if ca_file:
        context.load_verify_locations(ca_file)
    return context


def _webhook_secret() -> str:
    return WebhookSecretSettings.load().webhook_secret.get_secret_value()
