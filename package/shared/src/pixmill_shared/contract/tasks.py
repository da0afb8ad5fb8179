"""The names of all tasks and where each is routed."""

from enum import StrEnum
from typing import Final

from pixmill_shared.contract.queues import QueueName


class TaskName(StrEnum):
    FETCH_SOURCE = "pixmill_imaging.tasks.fetch.fetch_source"
    GENERATE_CHUNK = "pixmill_imaging.tasks.generate.generate_chunk"
    CHECK_PIPELINES = "pixmill_imaging.tasks.ingest.check_pipelines"
    RENDER_JOB = "pixmill_imaging.tasks.render.render_job"
    PROCESS_PENDING = "pixmill_imaging.tasks.render.process_pending"
    DELIVER_WEBHOOK = "pixmill_notifier.tasks.webhooks.deliver_webhook"
    DELIVER_PENDING = "pixmill_notifier.tasks.webhooks.deliver_pending"
    EVALUATE_ALERTS = "pixmill_notifier.tasks.alerts.evaluate"
    SEND_MESSAGE = "pixmill_notifier.tasks.alerts.send_message"
    SEND_REPORT = "pixmill_notifier.tasks.reports.send_daily"
    EXPIRE_UPLOADS = "pixmill_api.tasks.uploads.expire_unfinished"
    EXPIRE_KEYS = "pixmill_api.tasks.keys.expire"
    BUILD_ZIP = "pixmill_api.tasks.archives.build_zip"
    CLEAN_UP = "pixmill_shared.tasks.maintenance.cleanup_old_data"
    BACK_UP = "pixmill_shared.tasks.maintenance.backup_database"
    VERIFY_STORAGE = "pixmill_shared.tasks.maintenance.verify_storage"
    RECOVER_STALLED = "pixmill_shared.tasks.dispatch.recover_stalled"
    RECORD_HEARTBEAT = "pixmill_shared.tasks.monitoring.record_heartbeat"
    SAMPLE_QUEUES = "pixmill_shared.tasks.monitoring.sample_queues"
    CHECK_SERVICES = "pixmill_shared.tasks.monitoring.health_check_all_services"


#: First match wins. The dispatcher names the queue of a row itself (high, low, retry); these are the defaults.
ROUTES: Final[tuple[tuple[str, QueueName], ...]] = (
    ("pixmill_imaging.tasks.fetch.*", QueueName.FETCH),
    ("pixmill_imaging.tasks.ingest.*", QueueName.FETCH),
    ("pixmill_imaging.tasks.generate.*", QueueName.GENERATE),
    ("pixmill_imaging.tasks.render.*", QueueName.IMAGING),
    ("pixmill_notifier.tasks.alerts.*", QueueName.NOTIFIER_ALERTS),
    ("pixmill_notifier.tasks.reports.*", QueueName.NOTIFIER_ALERTS),
    ("pixmill_notifier.tasks.*", QueueName.NOTIFIER),
    ("pixmill_api.tasks.*", QueueName.API),
    ("pixmill_shared.tasks.maintenance.*", QueueName.MAINTENANCE),
    (TaskName.CHECK_SERVICES, QueueName.DEFAULT_HIGH),
    ("pixmill_shared.tasks.*", QueueName.DEFAULT),
)
