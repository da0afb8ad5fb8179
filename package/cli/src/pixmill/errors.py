"""What the command can fail with; each message is for the person at the terminal and says what to do.

PixmillError (pixmill_shared)
 |- StackError                  the local stack could not be started or kept running
     |- DataDirError            the data directory cannot be used: unwritable, in use, incomplete
     |- PortTakenError          somebody else listens where a process of the stack should
     |- MissingServerError      a server's binary is not installed
     |- ProcessFailedError      a process failed for good: it keeps dying, or never became ready
     |- StopRequestedError      the start was interrupted on request; not a failure
 |- DemoError                   the demonstration did not show what it should
 |- ApiError                    the API refused a call or did not answer
 |- DatabaseUnreachableError    DATABASE_URL names no server that answers, or the login is wrong
 |- SchemaMissingError          the database has no tables yet
 |- NoSuchDeadLetterError       the id is none of a dead letter
 |- TaskFailedError             a task failed, or did not end while the command waited
 |- MaintenanceUnderWayError    a backup, a clean-up or another task of maintenance runs already
 |- NoSuchPipelineError         the id is none of a pipeline
 |- NoSuchKeyError              neither an id nor the public start of an API key
 |- InvalidOptionError          an option of the command line has a value that cannot be
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


class DemoError(PixmillError):
    """The message says what was missing."""


class ApiError(PixmillError):
    """The message has the API's own detail."""


class DatabaseUnreachableError(PixmillError):
    """The database did not answer, or refused the login."""

    def __init__(self, cause: Exception) -> None:
        first = str(getattr(cause, "orig", cause)).strip().splitlines()[0]
        super().__init__(f"the database does not answer: {first}. Is DATABASE_URL right, and the server running?")


class SchemaMissingError(PixmillError):
    """The migrations have not run."""

    def __init__(self) -> None:
        super().__init__("the database has no tables of pixmill yet. Run: pixmill migrate")


class NoSuchDeadLetterError(PixmillError):
    """The id is well-formed, but no row has it."""

    def __init__(self, letter_id: str) -> None:
        super().__init__(f"there is no dead letter {letter_id}.")


class NoSuchPipelineError(PixmillError):
    """The id is well-formed, but no row has it."""

    def __init__(self, pipeline_id: str) -> None:
        super().__init__(f"there is no pipeline {pipeline_id}.")


class TaskFailedError(PixmillError):
    """The message says why."""


class MaintenanceUnderWayError(PixmillError):
    """Only one is done at a time."""

    def __init__(self) -> None:
        super().__init__(
            "other maintenance is under way (a backup, a clean-up, a look at the storage). Try again later."
        )


class NoSuchKeyError(PixmillError):
    """No row has that id or prefix."""

    def __init__(self, which: str) -> None:
        super().__init__(f"there is no key {which!r}. See: pixmill keys list")


class InvalidOptionError(PixmillError):
    """``rule`` says what the option takes."""

    def __init__(self, option: str, rule: str) -> None:
        super().__init__(f"{option} {rule}.")
