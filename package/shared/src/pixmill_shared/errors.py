"""Errors that more than one service raises or handles.

PixmillError
 |- ConfigurationError      a setting is missing or unsafe; the process must not start
 |- WorkError               a job cannot go on; carries an ErrorCode for the job's ``error``
     |- PermanentError      the same input will always fail: no retry, no dead letter
     |- TransientError      may pass: tried again with backoff, at last a dead letter
"""

from pixmill_shared.contract.codes import ErrorCode


class PixmillError(Exception):
    """Base of all errors that pixmill raises on purpose."""


class ConfigurationError(PixmillError):
    """The message says which setting is wrong and what to set."""


class WorkError(PixmillError):
    """``detail`` is a sentence for the person who sent the job: no paths, no addresses of ours, no secrets."""

    def __init__(self, code: ErrorCode, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class PermanentError(WorkError):
    """Trying again cannot help."""


class TransientError(WorkError):
    """Trying again may help; ``retry_after`` (seconds) is what the other side asked for, if it did."""

    def __init__(self, code: ErrorCode, detail: str, retry_after: float | None = None) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after
