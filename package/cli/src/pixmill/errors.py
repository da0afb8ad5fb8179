"""What the command can fail with; each message is for the person at the terminal and says what to do.

PixmillError (pixmill_shared)
 |- StackError                  the local stack could not be started or kept running
     |- DataDirError            the data directory cannot be used: unwritable, in use, incomplete
     |- PortTakenError          somebody else listens where a process of the stack should
     |- MissingServerError      a server's binary is not installed
     |- ProcessFailedError      a process failed for good: it keeps dying, or never became ready
     |- StopRequestedError      the start was interrupted on request; not a failure
"""

from pixmill_shared.errors import PixmillError


class StackError(PixmillError):
    """Base of everything that keeps the local stack from running."""


class DataDirError(StackError):
    """The data directory cannot be used."""


class PortTakenError(StackError):
    """A port of the plan is in use."""


class MissingServerError(StackError):
    """Postgres or Redis is not installed."""


class ProcessFailedError(StackError):
    """A process of the stack keeps dying, never became ready, or refused its one job."""


class StopRequestedError(StackError):
    """Stop was asked for while the stack was still starting."""
