"""What only the API reads, a module for each subject."""

from pixmill_api.settings.base import ApiSettings, is_loopback, refuse_exposure
from pixmill_api.settings.batches import BatchSettings
from pixmill_api.settings.cors import CorsSettings
from pixmill_api.settings.generation import GenerationLimitSettings
from pixmill_api.settings.inline import InlineSettings
from pixmill_api.settings.limits import LimitSettings
from pixmill_api.settings.streams import StreamSettings
from pixmill_api.settings.uploads import UploadSettings

__all__ = [
    "ApiSettings",
    "BatchSettings",
    "CorsSettings",
    "GenerationLimitSettings",
    "InlineSettings",
    "LimitSettings",
    "StreamSettings",
    "UploadSettings",
    "is_loopback",
    "refuse_exposure",
]
