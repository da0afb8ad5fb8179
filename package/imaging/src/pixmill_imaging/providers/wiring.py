"""Which providers this process has."""

from functools import cache

from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.providers.gemini import GeminiProvider
from pixmill_imaging.providers.placeholder import PlaceholderProvider
from pixmill_imaging.providers.protocol import Provider, Unavailable
from pixmill_imaging.settings import GenerationSettings, ImagingSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.runtime import runtime


def real_provider() -> Provider | Unavailable:
    """By the settings. Raises ConfigurationError if these are wrong."""
    settings = GenerationSettings.load()
    if not settings.use_real:
        return Unavailable(
            ErrorCode.PROVIDER_UNAVAILABLE, "This installation draws placeholders only (USE_REAL_IMAGE_GENERATION)."
        )
    if not settings.gemini_key.get_secret_value():
        return Unavailable(
            ErrorCode.PROVIDER_UNAVAILABLE, "This installation has no key for an image provider (GEMINI_API_KEY)."
        )
    return GeminiProvider(runtime().egress, settings)


@cache
def placeholder() -> PlaceholderProvider:
    """One for all threads: its fonts are read once."""
    return PlaceholderProvider(FontBook(ImagingSettings.load().font_directories()))
