"""Why an outgoing request failed. Each detail is a sentence that names the host and no more of the URL.

WorkError
 |- PermanentError
 |   |- ForbiddenAddress       forbidden_address   the host is, or resolves to, an address we may not reach
 |   |- InvalidUrl             forbidden_address   not an http(s) URL, or one with something we refuse in it
 |   |- InsecureRedirect       forbidden_address   https led to http
 |   |- TooManyRedirects       source_not_found    longer than the limit, or a loop
 |   |- SourceNotFound         source_not_found    404, 410, 401, 403, any status that will not change
 |   |- ResponseTooLarge       too_large           announced or sent more bytes than allowed
 |   |- EncodedResponse        unsupported_format  compressed although we asked for plain bytes
 |- TransientError
     |- SourceUnreachable      source_unreachable  no such name, refused, TLS failure, or the connection broke
     |   |- SourceUnavailable  source_unreachable  answered 408, 425, 429 or 5xx; ``status``, ``retry_after``
     |   |- AnswerBroken       source_unreachable  the connection was there, and broke before the answer was complete
     |- SourceTimeout          source_timeout      the total deadline passed, or connecting took too long
         |- AnswerTimeout      source_timeout      the connection was there, and the answer not complete in time
"""

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError, TransientError


class ForbiddenAddress(PermanentError):
    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.FORBIDDEN_ADDRESS, detail)


class InvalidUrl(PermanentError):
    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.FORBIDDEN_ADDRESS, detail)


class InsecureRedirect(PermanentError):
    def __init__(self, host: str) -> None:
        super().__init__(
            ErrorCode.FORBIDDEN_ADDRESS,
            f"{host} redirects from https to plain http, which is not followed.",
        )


class TooManyRedirects(PermanentError):
    def __init__(self, host: str, limit: int) -> None:
        super().__init__(
            ErrorCode.SOURCE_NOT_FOUND,
            f"{host} redirects again after the {limit} redirects that are followed.",
        )


class SourceNotFound(PermanentError):
    """``status`` is the HTTP status of the answer."""

    def __init__(self, host: str, status: int) -> None:
        meaning = {
            401: f"{host} asks for a login (HTTP 401).",
            403: f"{host} refuses access (HTTP 403).",
            404: f"{host} has nothing at this URL (HTTP 404).",
            410: f"{host} says that it is gone for good (HTTP 410).",
        }
        super().__init__(
            ErrorCode.SOURCE_NOT_FOUND,
            meaning.get(status, f"{host} answered with HTTP {status} and no file."),
        )
        self.status = status


class ResponseTooLarge(PermanentError):
    """``limit`` is in bytes."""

    def __init__(self, host: str, limit: int) -> None:
        super().__init__(ErrorCode.TOO_LARGE, f"The file at {host} has more than {limit:,} bytes.")


class EncodedResponse(PermanentError):
    def __init__(self, host: str) -> None:
        super().__init__(
            ErrorCode.UNSUPPORTED_FORMAT,
            f"{host} sends the file compressed (Content-Encoding), which is not accepted.",
        )


class SourceUnreachable(TransientError):
    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        super().__init__(ErrorCode.SOURCE_UNREACHABLE, detail, retry_after)


class SourceUnavailable(SourceUnreachable):
    """``status`` is the HTTP status of the answer, ``retry_after`` (seconds) what its header asks for."""

    def __init__(self, host: str, status: int, retry_after: float | None) -> None:
        reason = "has too many requests" if status == 429 else "has a problem"
        super().__init__(f"{host} {reason} at the moment (HTTP {status}).", retry_after)
        self.status = status


class AnswerBroken(SourceUnreachable):
    """The request may have been read."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} ended the connection before its answer was complete.")


class SourceTimeout(TransientError):
    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.SOURCE_TIMEOUT, detail)


class AnswerTimeout(SourceTimeout):
    """The request may have been read. ``seconds``: all that there were."""

    def __init__(self, host: str, seconds: float) -> None:
        super().__init__(f"{host} did not finish its answer within {seconds:g} seconds.")
