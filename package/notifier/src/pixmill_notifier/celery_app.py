"""The one app, for ``celery -A pixmill_notifier.celery_app worker``."""

from pixmill_notifier.settings import AlertSettings, ChannelSettings, DeliverySettings
from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import WORKER_QUEUES
from pixmill_shared.plumbing.processes import check_at_start, consume_by_default
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.process import PublicSettings
from pixmill_shared.settings.secrets import SecretSettings, WebhookSecretSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import WorkSettings

__all__ = ["app"]

consume_by_default(*WORKER_QUEUES["notifier"])
check_at_start(
    *(WorkSettings.load, StorageSettings.load, SecretSettings.load),
    *(WebhookSecretSettings.load, PublicSettings.load, EgressSettings.load),
    *(AlertSettings.load, ChannelSettings.load, DeliverySettings.load),
)
