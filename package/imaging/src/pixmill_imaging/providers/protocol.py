"""What every provider of pictures can do."""

from dataclasses import dataclass
from typing import Protocol

from pixmill_shared.contract.codes import ErrorCode


@dataclass(frozen=True)
class Subject:
    """What to draw: ``prompt`` is for models, ``name`` and ``category`` for people."""

    name: str
    category: str
    prompt: str


@dataclass(frozen=True)
class Picture:
    """Bytes as the provider gave them, which nobody has judged yet; nor is ``media_type`` more than its word."""

    data: bytes
    media_type: str


class Provider(Protocol):
    """Any number of threads may use one."""

    @property
    def name(self) -> str:
        """``gemini`` or ``placeholder``: what users are told."""

    @property
    def price(self) -> int:
        """Of a picture, in millionths of a US dollar."""

    @property
    def identity(self) -> str:
        """Model and settings: with the prompt all that decides a picture."""

    def draw(self, subject: Subject) -> Picture:
        """One picture.

        Raises PermanentError (provider_refused, too_large; provider_unavailable where the operator has to mend
        something) or TransientError (provider_unavailable); those that are also Charged where the provider may
        have drawn something. Any other one says that it has not, and the price is taken back.
        """


@dataclass(frozen=True)
class Unavailable:
    """Why there is no real provider; ``detail`` is a sentence for whoever sent the job."""

    code: ErrorCode
    detail: str
