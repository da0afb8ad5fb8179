"""Errors that more than one service raises or handles.

PixmillError
 |- ConfigurationError      a setting is missing or unsafe; the process must not start
 |- SecretRotating          a webhook secret was exchanged just now, and the former one still signs
 |- ReplayRefused           a dead letter is not sent again
 |   |- AlreadyReplayed     it was, and what was made then is named
 |   |- NotReplayable       there is nothing that could be repeated
 |- ClaimLost               another worker has the row now, or it was canceled: stop, and write nothing
 |- WorkError               a job cannot go on; carries an ErrorCode for the job's ``error``
     |- PermanentError      the same input will always fail: no retry, no dead letter
     |- TransientError      may pass: tried again with backoff, at last a dead letter
         |- OutageError     what pixmill itself stands on is away: waiting for it is no attempt
"""

import datetime
import uuid

from pixmill_shared.contract.codes import ErrorCode


class PixmillError(Exception):
    """Base of all errors that pixmill raises on purpose."""


class ConfigurationError(PixmillError):
    """The message says which setting is wrong and what to set."""


class SecretRotating(PixmillError):
    """``until``: when the former secret stops to sign."""

    def __init__(self, until: datetime.datetime | None) -> None:
        moment = until.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if until else "its end"
        super().__init__(f"The secret was exchanged already, and the former one signs until {moment}. Wait until then.")


class ReplayRefused(PixmillError):
    """The message is a sentence for whoever asked for the replay."""


class AlreadyReplayed(ReplayRefused):
    """``made`` is the id of what the first replay made (a job, say: ``kind``)."""

    def __init__(self, kind: str | None, made: uuid.UUID | None, by: str | None, at: datetime.datetime) -> None:
        moment = at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        super().__init__(f"It was replayed already, as {kind} {made}, by {by}, at {moment}.")
        self.made = made


class NotReplayable(ReplayRefused):
    """What the letter tells of is gone, or was never a row."""


class ClaimLost(PixmillError):
    """The work is somebody else's by now, or nobody's: what was stored for it is removed, and nothing is recorded."""


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


class OutageError(TransientError):
    """Tried again until ``PIXMILL_OUTAGE_PATIENCE`` has passed; only then do attempts count."""
