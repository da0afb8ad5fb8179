"""``Idempotency-Key``: a request that makes something is answered once, however often it is sent.

A route that makes something describes how, as a function of a session, and lets ``Once`` run it. With a key the first
answer is recorded in the transaction that makes the thing, so there are both or neither; the same request under the
same key gets that answer again. Errors are not recorded: who mends the request may send it under the same key.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from pixmill_api.auth import Caller, Context
from pixmill_api.domain.media_types import JSON
from pixmill_api.errors import Conflict, KeyInFlight, KeyMalformed, KeyReused
from pixmill_api.openapi import KEY_HEADER, REPLAYED_HEADER
from pixmill_shared.database.engine import Database
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.failpoints import failpoint
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import idempotency
from pixmill_shared.service.sealing import Sealer

log = get_logger(__name__)

_SHUT: Final = (
    "The first answer tells a secret and cannot be opened any more. What it tells of was made; nothing is now."
)
_KEY: Final = re.compile(r"[\x20-\x7e]{1,255}")
_KEPT_HEADERS: Final = ("Location", "Retry-After")

Make = Callable[[Session], Response]
"""Makes the thing in the session's transaction and answers; or raises, and nothing is made."""


@dataclass(frozen=True)
class Once:
    """How this request makes something. ``target``: its method and path; ``keep``: seconds that an answer is kept;
    ``sealer``: for answers that tell a secret, which are kept encrypted.
    """

    database: Database
    project: str
    target: str
    key: str | None
    keep: float
    sealer: Sealer | None = None

    async def answer(self, content: object, make: Make) -> Response:
        """``content``: what the body says, as JSON; two requests are the same if it and the target are.

        Raises KeyInFlight, KeyReused, and whatever ``make`` raises.
        """
        return await run_in_threadpool(self._answer, content, make)

    def _answer(self, content: object, make: Make) -> Response:
        with self.database.session_scope() as session:
            response = make(session) if self.key is None else self._answer_for(self.key, session, content, make)
        failpoint("submit.committed")
        return response

    def _answer_for(self, key: str, session: Session, content: object, make: Make) -> Response:
        if not idempotency.lock(session, self.project, key):
            raise KeyInFlight
        request = _fingerprint(self.target, content)
        known = idempotency.find(session, self.project, key)
        if known is not None and known.request_sha256 != request:
            raise KeyReused
        if known is not None:
            return Response(self._opened(known.body), known.status, {**known.headers, REPLAYED_HEADER: "true"}, JSON)
        response = make(session)
        body = bytes(response.body)
        kept = self.sealer.seal(body.decode()) if self.sealer else body
        if not idempotency.record(session, self.project, key, _recorded(request, response, kept), self.keep):
            raise KeyInFlight
        return response

    def _opened(self, body: bytes) -> bytes:
        """Raises Conflict for one that was sealed with a secret key which is not there any more."""
        if self.sealer is None:
            return body
        try:
            return self.sealer.unseal(body).encode()
        except ConfigurationError as error:
            log.error("answer cannot be repeated", error=str(error))
            raise Conflict(_SHUT) from None


def once_per_key(request: Request, context: Context, caller: Caller, *, secret: bool = False) -> Once:
    """For every route that makes something; ``openapi.KEYED`` is for its document. ``secret``: the answer tells one.
    Raises KeyMalformed.

    No dependency of FastAPI: to resolve one more costs a tenth of a millisecond, and most requests have no key.
    """
    keys = request.headers.getlist(KEY_HEADER)
    if len(keys) > 1:
        raise KeyMalformed(f"{KEY_HEADER} is there more than once.")
    if keys and not _KEY.fullmatch(keys[0]):
        raise KeyMalformed(f"{KEY_HEADER} must have 1 to 255 printable ASCII characters.")
    query = request.scope["query_string"].decode("latin-1")
    return Once(
        database=context.runtime.database,
        project=caller.project,
        target=f"{request.method} {request.scope['path']}?{query}",
        key=keys[0] if keys else None,
        keep=context.settings.idempotency_ttl,
        sealer=context.runtime.sealer if secret else None,
    )


def created(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """What ``Make`` answers with."""
    return JSONResponse(document, status, headers)


def _fingerprint(target: str, content: object) -> bytes:
    """A body that says the same in another order of keys is the same."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{target}\n{canonical}".encode()).digest()


def _recorded(request: bytes, response: Response, body: bytes) -> idempotency.Recorded:
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    return idempotency.Recorded(request, response.status_code, headers, body)
