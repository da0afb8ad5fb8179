"""Errors that more than one layer of this package raises or handles.

WorkError
 |- Charged            there is no picture, and the provider may take its price all the same
     |- UnfitPicture   also a PermanentError: what came will never be accepted
     |- LostPicture    also a TransientError: what came cannot be read, or has not come whole
"""

from pixmill_shared.errors import PermanentError, TransientError, WorkError


class Charged(WorkError):
    """The provider drew something, or nobody can tell that it did not: the call stays paid for."""


class UnfitPicture(Charged, PermanentError):
    """Trying again would be paid for again, and change nothing."""


class LostPicture(Charged, TransientError):
    """Another try may bring one."""
