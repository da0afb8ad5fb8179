"""Every answer that is an error: RFC 9457 ``application/problem+json``. Statuses of errors stand here, nowhere else."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from pixmill_api import errors
from pixmill_api.methods import allowed_methods
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import DatabaseUnavailable
from pixmill_shared.domain.json_reader import JsonError, join_pointer
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.storage import StorageUnavailable

log = get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = "5"
"""Seconds that a client should wait for a dependency that is down."""

MOST_ERRORS: Final = 50
"""Entries of ``errors``: enough to mend a request, and no way to make us answer a megabyte."""


class ProblemCode(StrEnum):
    """Codes of answers that are not about a job; never renamed. ``too_large`` and ``storage_unavailable`` are
    those of jobs."""

    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    PRESET_REQUIRED = "preset_required"
    NOT_OFFERED = "not_offered"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CONFLICT = "conflict"
    PRECONDITION_FAILED = "precondition_failed"
    IDEMPOTENCY_KEY_IN_FLIGHT = "idempotency_key_in_flight"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RANGE_NOT_SATISFIABLE = "range_not_satisfiable"
    INVALID = "invalid"
    BODY_STALLED = "body_stalled"
    GONE = "gone"
    TUS_VERSION = "tus_version"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    OFFSET_CONFLICT = "offset_conflict"
    UPLOAD_LOCKED = "upload_locked"
    QUEUE_FULL = "queue_full"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXCEEDED = "quota_exceeded"
    LIMITS_UNAVAILABLE = "limits_unavailable"
    STREAMS_UNAVAILABLE = "streams_unavailable"
    INTERNAL = "internal"
    DATABASE_UNAVAILABLE = "database_unavailable"
    HEAD_STALLED = "head_stalled"
    HEAD_TOO_LARGE = "head_too_large"
    HTTP = "http_error"


class Kind(NamedTuple):
    status: int
    code: ProblemCode | ErrorCode
    title: str


_KINDS: Final[dict[type[errors.RequestError], Kind]] = {
    errors.MalformedBody: Kind(400, ProblemCode.MALFORMED, "The body cannot be read"),
    errors.HeaderMalformed: Kind(400, ProblemCode.MALFORMED, "A header cannot be read"),
    errors.KeyMalformed: Kind(400, ProblemCode.MALFORMED, "The Idempotency-Key cannot be used"),
    errors.NotAuthenticated: Kind(401, ProblemCode.UNAUTHENTICATED, "An API key is needed"),
    errors.ScopeMissing: Kind(403, ProblemCode.FORBIDDEN, "The API key may not do that"),
    errors.PresetRequired: Kind(403, ProblemCode.PRESET_REQUIRED, "The API key may name presets only"),
    errors.NotOffered: Kind(403, ProblemCode.NOT_OFFERED, "That is switched off here"),
    errors.LinkRefused: Kind(403, ProblemCode.FORBIDDEN, "The link does not open this file"),
    errors.NotFound: Kind(404, ProblemCode.NOT_FOUND, "There is no such thing"),
    errors.Conflict: Kind(409, ProblemCode.CONFLICT, "It is too late for that"),
    errors.TooEarly: Kind(409, ProblemCode.CONFLICT, "It is too early for that"),
    errors.OffsetRefused: Kind(409, ProblemCode.OFFSET_CONFLICT, "The bytes do not follow those that are there"),
    errors.Gone: Kind(410, ProblemCode.GONE, "It is there no longer"),
    errors.VersionRefused: Kind(412, ProblemCode.TUS_VERSION, "The version of tus is not spoken here"),
    errors.BodyStalled: Kind(408, ProblemCode.BODY_STALLED, "The body came too slowly"),
    errors.PreconditionFailed: Kind(412, ProblemCode.PRECONDITION_FAILED, "It was changed meanwhile"),
    errors.TooMany: Kind(409, ProblemCode.CONFLICT, "There are too many already"),
    errors.KeyInFlight: Kind(409, ProblemCode.IDEMPOTENCY_KEY_IN_FLIGHT, "The same request is still running"),
    errors.BodyTooLarge: Kind(413, ErrorCode.TOO_LARGE, "The body has too many bytes"),
    errors.MediaTypeRefused: Kind(415, ProblemCode.UNSUPPORTED_MEDIA_TYPE, "The content type is not taken here"),
    errors.RangeRefused: Kind(416, ProblemCode.RANGE_NOT_SATISFIABLE, "The range cannot be given"),
    errors.ChecksumRefused: Kind(460, ProblemCode.CHECKSUM_MISMATCH, "The checksum is another one"),
    errors.UploadLocked: Kind(423, ProblemCode.UPLOAD_LOCKED, "The upload is locked"),
    errors.InvalidRequest: Kind(422, ProblemCode.INVALID, "The request is not valid"),
    errors.UploadRefused: Kind(422, ProblemCode.INVALID, "The upload is not what was announced"),
    errors.KeyReused: Kind(422, ProblemCode.IDEMPOTENCY_KEY_REUSED, "The Idempotency-Key belongs to another request"),
    errors.QueueFull: Kind(429, ProblemCode.QUEUE_FULL, "Too many jobs wait"),
    errors.RateLimited: Kind(429, ProblemCode.RATE_LIMITED, "The API key sent too many requests"),
    errors.QuotaExceeded: Kind(429, ProblemCode.QUOTA_EXCEEDED, "The API key has too many unfinished jobs"),
    errors.LimitsUnknown: Kind(503, ProblemCode.LIMITS_UNAVAILABLE, "Limits cannot be looked up"),
    errors.StreamsUnavailable: Kind(503, ProblemCode.STREAMS_UNAVAILABLE, "Too many watch already"),
}
_OF_STATUS: Final = {
    404: Kind(404, ProblemCode.NOT_FOUND, "There is no such thing"),
    405: Kind(405, ProblemCode.METHOD_NOT_ALLOWED, "The method is not allowed here"),
}
NO_HTTP: Final = Kind(400, ProblemCode.MALFORMED, "The request cannot be read")
HEAD_STALLED: Final = Kind(408, ProblemCode.HEAD_STALLED, "The head of the request came too slowly")
HEAD_TOO_LARGE: Final = Kind(431, ProblemCode.HEAD_TOO_LARGE, "The head of the request has too many bytes")
PREFLIGHT_REFUSED: Final = Kind(400, ProblemCode.HTTP, "Pages of that origin may not do that")
_INTERNAL: Final = Kind(500, ProblemCode.INTERNAL, "Something went wrong on our side")
_DATABASE: Final = Kind(503, ProblemCode.DATABASE_UNAVAILABLE, "The database does not answer")
_STORAGE: Final = Kind(503, ErrorCode.STORAGE_UNAVAILABLE, "The storage does not answer")


def all_kinds() -> list[Kind]:
    """For the reference: the usual one of a status and a code comes first."""
    return [*_OF_STATUS.values(), *_KINDS.values(), HEAD_STALLED, HEAD_TOO_LARGE, _DATABASE, _STORAGE]


def type_of(kind: Kind) -> str:
    return f"urn:pixmill:problem:{kind.code}"


def problem(
    request: Request,
    kind: Kind,
    detail: str,
    *,
    wrong: Sequence[JsonError] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """``wrong`` becomes ``errors: [{pointer, detail}]``."""
    request_id = getattr(request.state, "request_id", None)
    content = document(kind, detail, instance=request.url.path, request_id=request_id)
    if wrong:
        content["errors"] = [error._asdict() for error in wrong[:MOST_ERRORS]]
    return JSONResponse(content, kind.status, headers, MEDIA_TYPE)


def document(kind: Kind, detail: str, *, instance: str, request_id: str | None) -> dict[str, Any]:
    return {
        "type": type_of(kind),
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        "code": kind.code,
        "request_id": request_id,
    }


def internal_error(request: Request) -> JSONResponse:
    """Says nothing: the log has the traceback under the request id."""
    return problem(request, _INTERNAL, "The error was logged. Quote the request_id if you report it.")


def install(app: FastAPI) -> None:
    """Every error of the app becomes a problem document."""
    app.add_exception_handler(errors.RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(StorageUnavailable, _storage_down)
    for lost in DatabaseUnavailable:
        app.add_exception_handler(lost, _database_down)
    app.add_exception_handler(ClientDisconnect, _gone)


def _refused(request: Request, error: Any) -> Response:
    headers: dict[str, str] = {}
    if isinstance(error, errors.NotAuthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.RangeRefused):
        headers["Content-Range"] = f"bytes */{error.size}"
    if isinstance(error, errors.VersionRefused):
        headers["Tus-Version"] = error.version
    if isinstance(error, errors.BodyStalled):
        headers["Connection"] = "close"  # what may still come is for nobody
    if isinstance(error, errors.TryLater):
        headers["Retry-After"] = str(error.retry_after)
    wrong = error.errors if isinstance(error, errors.InvalidRequest) else ()
    return problem(request, _KINDS[type(error)], error.detail, wrong=wrong, headers=headers)


def _invalid_parameters(request: Request, error: Any) -> Response:
    """Of the query: the first part of the pointer is ``query``."""
    wrong = [JsonError(_pointer(found["loc"]), str(found["msg"])) for found in error.errors()]
    return problem(request, _KINDS[errors.InvalidRequest], "A parameter is wrong; see errors.", wrong=wrong)


def _http_error(request: Request, error: Any) -> Response:
    status = HTTPStatus(error.status_code)
    kind = _OF_STATUS.get(status) or Kind(status, ProblemCode.HTTP, status.phrase)
    headers = error.headers
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(sorted(allowed_methods(request.app, request.scope["path"])))}
    return problem(request, kind, f"{request.method} {request.url.path}: {status.phrase}.", headers=headers)


def _storage_down(request: Request, error: Exception) -> Response:
    log.warning("storage unavailable", cause=repr(error.__cause__))
    return problem(request, _STORAGE, "Try again in a moment.", headers={"Retry-After": RETRY_AFTER})


def _database_down(request: Request, error: Exception) -> Response:
    log.warning("database unavailable", error=type(error).__name__, detail=str(error).partition("\n")[0])
    return problem(request, _DATABASE, "Try again in a moment.", headers={"Retry-After": RETRY_AFTER})


def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; it gives the request an outcome."""
    return problem(request, _KINDS[errors.MalformedBody], "The connection broke before the body was complete.")


def _pointer(location: Sequence[str | int]) -> str:
    pointer = ""
    for part in location:
        pointer = join_pointer(pointer, part)
    return pointer
