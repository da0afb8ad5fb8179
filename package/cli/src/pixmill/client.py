"""A client of pixmill's HTTP API; the command's one home of httpx."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from pixmill.errors import ApiError

_BASE: Final = "/api/v1"
_CHUNK: Final = 1024 * 1024


class Client:
    """``key`` is an API key, or None where the API runs with PIXMILL_AUTH=off. All calls raise ApiError."""

    def __init__(self, base_url: str, key: str | None = None, timeout: float = 30) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        # A connection each: one that rests is ended by the API, perhaps just as the next request is sent over it.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout, trust_env=False, limits=limits)

    def upload(self, path: Path, media_type: str = "application/octet-stream") -> dict[str, Any]:
        """Stream a file; the answer has ``upload_id``, ``bytes``, ``sha256`` and ``media_type``."""
        headers = {"Content-Type": media_type, "Content-Length": str(path.stat().st_size)}
        return self._json("POST", f"{_BASE}/uploads", content=_chunks(path), headers=headers)

    def create_job(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` as in ``POST /jobs``; returns the job."""
        return self._json("POST", f"{_BASE}/jobs", json=document)

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        return self._json("GET", f"{_BASE}/jobs/{job_id}")

    def create_menu(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` as in ``POST /image/generate-async``; the answer has ``job_id``."""
        return self._json("POST", f"{_BASE}/image/generate-async", json=document)

    def menu(self, job_id: str) -> dict[str, Any]:
        """How the pictures of a menu come along, category by category."""
        return self._json("GET", f"{_BASE}/image/status/{job_id}")

    def download(self, url: str, path: Path) -> None:
        """Save what a signed URL points to, or the API's own path of an output, which may redirect to a bucket."""
        with self._http.stream("GET", url, follow_redirects=True) as response, path.open("wb") as file:
            _check(response)
            for chunk in response.iter_bytes():
                file.write(chunk)

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise ApiError(f"the API at {self._http.base_url} does not answer ({error})") from None
        _check(response)
        document: dict[str, Any] = response.json()
        return document


def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        problem = response.json()
        detail = problem.get("detail") or problem.get("title")
    except ValueError:
        detail = response.text[:200]
    raise ApiError(f"HTTP {response.status_code}: {detail}")


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
