"""The guarded transport: the only way out to a URL that somebody sent, for fetches and webhooks alike.

The one home of httpx and httpcore in the services. See ``docs/decisions/guarded-egress.md``.
"""

from pixmill_shared.egress.client import CallResult, Download, EgressClient, PostResult
from pixmill_shared.egress.errors import (
    AnswerBroken,
    AnswerTimeout,
    EncodedResponse,
    ForbiddenAddress,
    InsecureRedirect,
    InvalidUrl,
    ResponseTooLarge,
    SourceNotFound,
    SourceTimeout,
    SourceUnavailable,
    SourceUnreachable,
    TooManyRedirects,
)
from pixmill_shared.egress.resolver import Resolver, system_resolver

__all__ = [
    "AnswerBroken",
    "AnswerTimeout",
    "CallResult",
    "Download",
    "EgressClient",
    "EncodedResponse",
    "ForbiddenAddress",
    "InsecureRedirect",
    "InvalidUrl",
    "PostResult",
    "Resolver",
    "ResponseTooLarge",
    "SourceNotFound",
    "SourceTimeout",
    "SourceUnavailable",
    "SourceUnreachable",
    "TooManyRedirects",
    "system_resolver",
]
