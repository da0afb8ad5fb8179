"""Why a request is refused. Which HTTP status that is stands in ``problems.py`` and nowhere else.

RequestError
 |- MalformedBody        the bytes are not what the content type says
 |- HeaderMalformed      a header that cannot be read
 |- InvalidRequest       well-formed, but wrong: ``errors`` says what and where
 |- UploadRefused        the bytes are not those that were announced
 |- ChecksumRefused      the body is not what its checksum says
 |- BodyTooLarge         more bytes than the limit
 |- BodyStalled          no more bytes come, or too few
 |- MediaTypeRefused     a content type that the call does not take
 |- NotAuthenticated     no key, or one that does not exist
 |- ScopeMissing         the key may not do that
 |- PresetRequired       the key may name presets, and send no recipe of its own
 |- NotOffered           something that this installation has switched off
 |- LinkRefused          a signed URL that is tampered with or has expired
 |- NotFound             there is no such thing, or it is another project's
 |- Gone                 there was one, and its time is over
 |- VersionRefused       a version of tus that is not spoken here
 |- Conflict             not in the state that the thing is in
 |- TooEarly             not yet in the state that the thing must be in
 |- OffsetRefused        bytes that do not follow those that are there
 |- PreconditionFailed   it is not what the request's ``If-Match`` names
 |- TooMany              there are as many as there may be
 |- KeyMalformed         an Idempotency-Key that is none
 |- KeyReused            an Idempotency-Key that another request was answered under
 |- TryLater             nothing is wrong with the request; ``retry_after`` seconds later it may be taken
 |   |- KeyInFlight      the first request under the Idempotency-Key is still running
 |   |- UploadLocked     another request writes to the upload
 |   |- QueueFull        PIXMILL_MAX_BACKLOG jobs wait
 |   |- RateLimited      the key sent its requests of this time
 |   |- QuotaExceeded    the key has as many unfinished jobs as it may have
 |   |- LimitsUnknown    Redis is down, and PIXMILL_RATE_LIMIT_WHEN_DOWN is closed
 |   |- StreamsUnavailable as many watch as may, or the process is about to end
 |- RangeRefused         a range beyond the end; ``size`` is that of the whole
"""

from collections.abc import Sequence

from pixmill_shared.domain.json_reader import JsonError
from pixmill_shared.errors import PixmillError


class RequestError(PixmillError):
    """``detail`` is a sentence for the client: no paths, no SQL, no secrets."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class MalformedBody(RequestError):
    pass


class HeaderMalformed(RequestError):
    pass


class UploadRefused(RequestError):
    pass


class ChecksumRefused(RequestError):
    def __init__(self) -> None:
        super().__init__("The bytes are not those of Upload-Checksum. None of them was kept; send them again.")


class BodyStalled(RequestError):
    pass


class InvalidRequest(RequestError):
    """``errors`` are pointers into the JSON body (RFC 6901); a form is read as the JSON object of its fields."""

    def __init__(self, errors: Sequence[JsonError]) -> None:
        super().__init__("The request is well-formed, but something in it is wrong; see errors.")
        self.errors = tuple(errors)


class BodyTooLarge(RequestError):
    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what} may have {limit} bytes at most.")


class MediaTypeRefused(RequestError):
    pass


class NotAuthenticated(RequestError):
    def __init__(self, detail: str = "Send a valid API key: Authorization: Bearer pxm_….") -> None:
        super().__init__(detail)


class ScopeMissing(RequestError):
    def __init__(self, scope: str) -> None:
        super().__init__(f"The API key does not have the scope {scope}. Use one that has.")


class PresetRequired(RequestError):
    def __init__(self) -> None:
        super().__init__("The API key may name presets only. Send `preset` instead of what is to be done itself.")


class NotOffered(RequestError):
    pass


class LinkRefused(RequestError):
    def __init__(self) -> None:
        super().__init__("The link is not valid, or no longer. Ask for the job again to get a fresh one.")


class NotFound(RequestError):
    pass


class Gone(RequestError):
    pass


class VersionRefused(RequestError):
    """``version`` is the one that is."""

    def __init__(self, version: str) -> None:
        super().__init__(f"Send Tus-Resumable: {version}.")
        self.version = version


class TooEarly(RequestError):
    pass


class OffsetRefused(RequestError):
    def __init__(self, offset: int) -> None:
        super().__init__(f"The next byte is that at {offset}: go on there.")


class Conflict(RequestError):
    pass


class PreconditionFailed(RequestError):
    pass


class TooMany(RequestError):
    pass


class KeyMalformed(RequestError):
    pass


class KeyReused(RequestError):
    def __init__(self) -> None:
        super().__init__("Another request was answered under this Idempotency-Key. Send a new key with a new request.")


class TryLater(RequestError):
    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class KeyInFlight(TryLater):
    def __init__(self) -> None:
        super().__init__("The first request under this Idempotency-Key is still running.", retry_after=1)


class UploadLocked(TryLater):
    def __init__(self) -> None:
        super().__init__("Another request is writing to this upload.", retry_after=1)


class QueueFull(TryLater):
    def __init__(self, retry_after: int) -> None:
        super().__init__(
            "Too many jobs wait already. Nothing of the request was kept; send it again later.", retry_after
        )


class RateLimited(TryLater):
    def __init__(self, limit: int, retry_after: int) -> None:
        super().__init__(f"The API key may send {limit} requests a minute.", retry_after)


class QuotaExceeded(TryLater):
    def __init__(self, limit: int, count: int, retry_after: int) -> None:
        room = "wait until some of them have ended" if count <= limit else "send fewer at a time"
        super().__init__(
            f"The API key may have {limit} unfinished jobs. Nothing of the request was kept; {room}.", retry_after
        )


class LimitsUnknown(TryLater):
    def __init__(self) -> None:
        super().__init__("The limits of the API key cannot be looked up. Try again in a moment.", retry_after=1)


class StreamsUnavailable(TryLater):
    def __init__(self) -> None:
        super().__init__("No more streams of events can be served here. Connect again in a moment.", retry_after=2)


class RangeRefused(RequestError):
    def __init__(self, size: int) -> None:
        super().__init__(f"The range begins after the end; there are {size} bytes.")
        self.size = size
