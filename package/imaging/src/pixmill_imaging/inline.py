"""What imaging does in a process that is no worker; this is its entry point in ``pixmill.inline``.

Importing it loads no library that decodes: that happens in the children.
"""

from pixmill_imaging.settings import GenerationSettings, ImagingSettings, IngestSettings
from pixmill_imaging.tasks.fetch import fetch_source
from pixmill_imaging.tasks.generate import generate_chunk
from pixmill_imaging.tasks.ingest import check_pipelines
from pixmill_imaging.tasks.render import render_job
from pixmill_shared.plumbing.inline import InlineService, MemoryBounds
from pixmill_shared.settings.admission import AdmissionSettings
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.generation import PaceSettings


def _preload() -> None:
    """What the first job would otherwise wait for. Raises ConfigurationError if the loader is not installed."""
    from pixmill_imaging.service import finish  # noqa: F401 - loads what it needs
    from pixmill_imaging.wiring import engine

    engine()


def _memory() -> MemoryBounds:
    settings = ImagingSettings.load()
    return MemoryBounds(settings.max_memory, settings.memory_limit)


SERVICE = InlineService(
    threads=(fetch_source, check_pipelines),
    # What a provider sends is decoded too.
    children=(render_job, generate_chunk),
    checks=(
        *(EgressSettings.load, ImagingSettings.load, IngestSettings.load, AdmissionSettings.load),
        *(GenerationSettings.load, PaceSettings.load),
    ),
    preload=_preload,
    memory=_memory,
)
