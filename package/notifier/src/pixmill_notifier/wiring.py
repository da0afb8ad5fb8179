"""What the notifier delivers with, built at the first delivery of a process."""

from functools import cache

from pixmill_notifier.service.deliver import Courier
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.secrets import WebhookSecretSettings


@cache
def courier() -> Courier:
    """Raises ConfigurationError if a setting is missing."""
    clients = runtime()
    return Courier(
        database=clients.database,
        store=clients.store,
        egress=clients.egress,
        sealer=clients.sealer,
        webhook_secret=WebhookSecretSettings.load().webhook_secret.get_secret_value(),
        url_ttl=clients.storage_settings.url_ttl,
        timeout=EgressSettings.load().webhook_timeout,
        worker_name=clients.worker_name,
        lease=clients.work.lease,
        rng=clients.rng,
    )
