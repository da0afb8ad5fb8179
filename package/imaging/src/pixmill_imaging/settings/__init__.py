"""What only the imaging service reads, a module for each subject."""

from pixmill_imaging.settings.generation import GenerationSettings
from pixmill_imaging.settings.ingest import IngestSettings
from pixmill_imaging.settings.rendering import ImagingSettings, LoaderChoice

__all__ = ["GenerationSettings", "ImagingSettings", "IngestSettings", "LoaderChoice"]
