"""What a process works with. The engine is built at its first job: in a prefork child, never in the parent."""

from functools import cache

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.providers.wiring import placeholder, real_provider
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.generate import Studio
from pixmill_imaging.service.ingest import Ingest
from pixmill_imaging.service.loaders import choose_loader
from pixmill_imaging.service.sources import Reader
from pixmill_imaging.settings import GenerationSettings, ImagingSettings, IngestSettings
from pixmill_shared.runtime import runtime
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.generation import PaceSettings


@cache
def engine() -> Engine:
    """Raises ConfigurationError if the chosen loader is not installed."""
    settings = ImagingSettings.load()
    limits = PixelLimits(
        settings.max_source_pixels, settings.max_output_pixels, settings.max_frames, settings.max_animation_pixels
    )
    return Engine(choose_loader(settings.loader), limits, FontBook(settings.font_directories()))


def studio() -> Studio:
    """For one chunk: with the clients of this process, and the provider that its settings name."""
    clients = runtime()
    return Studio(
        *(clients.database, clients.store, engine(), clients.destinations, real_provider(), placeholder()),
        settings=GenerationSettings.load(),
        pace=PaceSettings.load(),
        max_attempts=clients.work.max_attempts,
        job_timeout=clients.work.image_job_timeout,
        rng=clients.rng,
    )


def new_ingest() -> Ingest:
    """For one tick."""
    clients = runtime()
    reader = Reader(clients.egress, clients.sources, EgressSettings.load(), IngestSettings.load())
    return Ingest(clients, reader, AdmissionSettings.load())
