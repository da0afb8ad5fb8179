"""What only the API reads, a module for each subject."""

from pixmill_api.settings.base import ApiSettings, is_loopback, refuse_exposure
from pixmill_api.settings.limits import LimitSettings

__all__ = ["ApiSettings", "LimitSettings", "is_loopback", "refuse_exposure"]
