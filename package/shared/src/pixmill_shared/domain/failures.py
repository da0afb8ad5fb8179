"""What a failed job tells its sender."""

from typing import Any

from pixmill_shared.contract.codes import EXPLANATIONS, ErrorCode


def error_document(code: ErrorCode, detail: str) -> dict[str, Any]:
    """The ``error`` of a job, a delivery or a dead letter."""
    explanation = EXPLANATIONS[code]
    return {"code": code, "title": explanation.title, "detail": storable(detail), "retryable": explanation.retryable}


def storable(text: str) -> str:
    """Without what Postgres takes in no text and no JSON: NUL and lone surrogates, from damaged names in messages."""
    return text.encode("utf-8", errors="replace").decode().replace("\0", "\ufffd")
