"""How services are, as the checks of the schedule found them."""

from typing import Any

from pixmill_api.auth import Context
from pixmill_shared.database.models import ServiceHealth
from pixmill_shared.domain.moments import utc
from pixmill_shared.repositories import service_health


def list_services(context: Context) -> dict[str, Any]:
    """By name."""
    with context.runtime.database.session_scope() as session:
        return {"data": [_service(row, age) for row, age in service_health.everyone(session)]}


def _service(row: ServiceHealth, age: float) -> dict[str, Any]:
    return {
        "service": row.service,
        "status": service_health.status_at(row, age),
        "since": utc(row.since),
        "checked_at": utc(row.checked_at),
        "failures": row.failures,
        "status_code": row.status_code,
        "response_ms": row.response_ms,
        "error": row.error,
    }
