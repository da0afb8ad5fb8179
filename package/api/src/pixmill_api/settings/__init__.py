"""What only the API reads, a module for each subject."""

from pixmill_api.settings.base import ApiSettings, is_loopback, refuse_exposure

__all__ = ["ApiSettings", "is_loopback", "refuse_exposure"]
