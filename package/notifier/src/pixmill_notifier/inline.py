"""What the notifier does in a process that is no worker; this is its entry point in ``pixmill.inline``."""

from pixmill_notifier.settings import AlertSettings, ChannelSettings, DeliverySettings
from pixmill_notifier.tasks.alerts import evaluate, send_message
from pixmill_notifier.tasks.reports import send_daily
from pixmill_notifier.tasks.webhooks import deliver_webhook
from pixmill_shared.plumbing.inline import InlineService
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.secrets import WebhookSecretSettings

SERVICE = InlineService(
    threads=(deliver_webhook, send_message, evaluate, send_daily),
    checks=(
        *(WebhookSecretSettings.load, EgressSettings.load),
        *(AlertSettings.load, ChannelSettings.load, DeliverySettings.load),
    ),
)
