"""The one app, for ``celery -A pixmill_imaging.celery_app worker``."""

from pixmill_imaging.service import fetch, finish
from pixmill_imaging.settings import GenerationSettings, ImagingSettings, IngestSettings
from pixmill_shared.celery_app import app
from pixmill_shared.contract.queues import WORKER_QUEUES
from pixmill_shared.plumbing.memory import bound_memory
from pixmill_shared.plumbing.processes import check_at_start, consume_by_default
from pixmill_shared.runtime import Runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.generation import PaceSettings
from pixmill_shared.settings.redis import RedisSettings
from pixmill_shared.settings.scaling import ScalingSettings
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage import prepare_directory

__all__ = ["app"]

#: Imported before the fork, so that each new child finds Pillow there and need not load it with its first job.
PRELOADED = (fetch, finish)

bound_memory(lambda: ImagingSettings.load().max_memory, lambda: ImagingSettings.load().memory_limit)
consume_by_default(*WORKER_QUEUES["imaging"], *WORKER_QUEUES["imaging-io"])


def _check_storage() -> None:
    clients = Runtime()
    prepare_directory(clients.storage_settings)
    # What users may read and write must not be pixmill's own.
    _ = clients.destinations, clients.sources


check_at_start(WorkSettings.load, _check_storage, EgressSettings.load, ImagingSettings.load, RedisSettings.load)
check_at_start(ScalingSettings.load, IngestSettings.load, AdmissionSettings.load)
check_at_start(GenerationSettings.load, PaceSettings.load)
