"""Why a job failed: the codes of ``job.error.code`` and of problem documents. Documented, never renamed."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ErrorCode(StrEnum):
    FORBIDDEN_ADDRESS = "forbidden_address"
    SOURCE_NOT_FOUND = "source_not_found"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_TIMEOUT = "source_timeout"
    SOURCE_UNREADABLE = "source_unreadable"
    TOO_LARGE = "too_large"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNDECODABLE = "undecodable"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    RECIPE_MISMATCH = "recipe_mismatch"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    STORAGE_UNAVAILABLE = "storage_unavailable"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    INTERNAL_ERROR = "internal_error"
    PROVIDER_REFUSED = "provider_refused"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    BUDGET_EXCEEDED = "budget_exceeded"


@dataclass(frozen=True)
class Explanation:
    """What a person is told: ``title`` is the same for every job with the code.

    ``transient`` work is tried again by pixmill before the job fails; ``retryable`` tells the client whether
    sending the same job again later may succeed.
    """

    title: str
    transient: bool = False
    retryable: bool = False


EXPLANATIONS: Final[dict[ErrorCode, Explanation]] = {
    ErrorCode.FORBIDDEN_ADDRESS: Explanation("The URL points to an address that pixmill may not fetch from"),
    ErrorCode.SOURCE_NOT_FOUND: Explanation("There is no picture at the source"),
    ErrorCode.SOURCE_UNREACHABLE: Explanation("The source could not be reached", transient=True, retryable=True),
    ErrorCode.SOURCE_TIMEOUT: Explanation("The source took too long to answer", transient=True, retryable=True),
    ErrorCode.SOURCE_UNREADABLE: Explanation("The list of pictures at the source cannot be read"),
    ErrorCode.TOO_LARGE: Explanation("The source has more bytes than allowed"),
    ErrorCode.UNSUPPORTED_FORMAT: Explanation("The source is not an image in a format that pixmill reads"),
    ErrorCode.UNDECODABLE: Explanation("The image is damaged and cannot be decoded"),
    ErrorCode.TOO_MANY_PIXELS: Explanation("The image has more pixels than allowed"),
    ErrorCode.TOO_MANY_FRAMES: Explanation("The animation has more frames than allowed"),
    ErrorCode.RECIPE_MISMATCH: Explanation("A step of the recipe cannot be applied to this image"),
    ErrorCode.TIME_LIMIT: Explanation("The work took longer than allowed"),
    ErrorCode.MEMORY_LIMIT: Explanation("The work needed more memory than allowed"),
    ErrorCode.STORAGE_UNAVAILABLE: Explanation("The storage did not answer", transient=True, retryable=True),
    ErrorCode.ATTEMPTS_EXHAUSTED: Explanation("The process that worked on it died each time", retryable=True),
    ErrorCode.INTERNAL_ERROR: Explanation("An unexpected error in pixmill itself", transient=True, retryable=True),
    ErrorCode.PROVIDER_REFUSED: Explanation("The image provider refused the request"),
    ErrorCode.PROVIDER_UNAVAILABLE: Explanation("The image provider is not available", transient=True, retryable=True),
    ErrorCode.BUDGET_EXCEEDED: Explanation("The generation budget is used up", retryable=True),
}
