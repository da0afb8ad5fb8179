"""Pictures of Google's Gemini models, by plain HTTP. See ``docs/decisions/gemini.md``."""

from pixmill_imaging.domain.gemini import read_answer, request_body, request_path
from pixmill_imaging.errors import LostPicture, UnfitPicture
from pixmill_imaging.providers.protocol import Picture, Subject
from pixmill_imaging.settings import GenerationSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.egress import (
    AnswerBroken,
    AnswerTimeout,
    CallResult,
    EgressClient,
    EncodedResponse,
    ResponseTooLarge,
)
from pixmill_shared.errors import PermanentError, TransientError


class GeminiProvider:
    """``settings`` has a key. Asks once a picture: trying again, waiting and counting are the caller's."""

    name = "gemini"

    def __init__(self, egress: EgressClient, settings: GenerationSettings) -> None:
        self._egress = egress
        self._settings = settings
        self._url = settings.gemini_url + request_path(settings.gemini_model)

    @property
    def price(self) -> int:
        return self._settings.price

    @property
    def identity(self) -> str:
        # The server too: what stands in for Gemini's in a test draws no pictures of Gemini's.
        return f"gemini/1/{self._url}/{self._settings.gemini_aspect_ratio}"

    def draw(self, subject: Subject) -> Picture:
        result = self._call(request_body(subject.prompt, self._settings.gemini_aspect_ratio))
        drawn = read_answer(result.status, result.body, result.retry_after, self._key)
        return Picture(drawn.data, drawn.media_type)

    @property
    def _key(self) -> str:
        return self._settings.gemini_key.get_secret_value()

    def _call(self, body: bytes) -> CallResult:
        settings = self._settings
        headers = {"Content-Type": "application/json", "x-goog-api-key": self._key}
        try:
            return self._egress.call(self._url, body, headers, max_bytes=settings.max_bytes, deadline=settings.timeout)
        except ResponseTooLarge:
            limit = f"The image provider's answer has more than {settings.max_bytes:,} bytes."
            raise UnfitPicture(ErrorCode.TOO_LARGE, limit) from None
        except EncodedResponse as error:
            raise UnfitPicture(ErrorCode.PROVIDER_UNAVAILABLE, error.detail) from None
        except (AnswerBroken, AnswerTimeout) as error:
            raise LostPicture(ErrorCode.PROVIDER_UNAVAILABLE, error.detail) from None
        # What else goes wrong on the way is the provider's not being there, whatever it would mean of a source.
        except PermanentError as error:
            raise PermanentError(ErrorCode.PROVIDER_UNAVAILABLE, error.detail) from None
        except TransientError as error:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, error.detail) from None
