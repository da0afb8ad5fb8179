"""What a failed job tells its sender."""

from typing import Any

from pixmill_shared.contract.codes import EXPLANATIONS, ErrorCode


def error_document(code: ErrorCode, detail: str) -> dict[str, Any]:
    """The ``error`` of a job, a delivery or a dead letter."""
    explanation = EXPLANATIONS[code]
    return {"code": code, "title": explanation.title, "detail": detail, "retryable": explanation.retryable}
