"""What the API needs whatever it is asked."""

from ipaddress import ip_address
from typing import Literal

from pydantic import Field

from pixmill_shared.domain.recipe.limits import MAX_OUTPUTS, MOST_OUTPUTS
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.base import Settings
from pixmill_shared.settings.process import ListenSettings


class ApiSettings(Settings):
    """The limit of an upload is that of every source: PIXMILL_MAX_SOURCE_BYTES."""

    auth: Literal["on", "off"] = Field(
        default="on",
        validation_alias="PIXMILL_AUTH",
        description="off: no API key is asked for and everything is project default; on loopback only",
    )
    max_body_bytes: int = Field(
        default=1_000_000,
        ge=1_000,
        validation_alias="PIXMILL_MAX_BODY_BYTES",
        description="bytes that a JSON body, or the text fields of a form, may have",
    )
    request_timeout: float = Field(
        default=30,
        gt=0,
        le=600,
        validation_alias="PIXMILL_REQUEST_TIMEOUT",
        description="seconds in which the head of a request, then a JSON body, must have come as a whole (else 408)",
    )
    max_outputs: int = Field(
        default=MAX_OUTPUTS,
        ge=1,
        le=MOST_OUTPUTS,
        validation_alias="PIXMILL_MAX_OUTPUTS",
        description="outputs that a recipe may have",
    )
    threads: int = Field(
        default=20,
        ge=2,
        le=200,
        validation_alias="PIXMILL_API_THREADS",
        description="requests that use the database at once; each may hold a connection",
    )

    max_delay: int = Field(
        default=366 * 86_400,
        ge=0,
        validation_alias="PIXMILL_MAX_DELAY",
        description="seconds that the run_at of a job may lie ahead",
    )
    idempotency_ttl: int = Field(
        default=86_400,
        ge=1,
        validation_alias="PIXMILL_IDEMPOTENCY_TTL",
        description="seconds that an answer is kept under its Idempotency-Key",
    )

    max_endpoints: int = Field(
        default=50,
        ge=1,
        le=1_000,
        validation_alias="PIXMILL_MAX_ENDPOINTS",
        description="webhook endpoints that a project may have; each costs every job of it a delivery",
    )
    max_pipelines: int = Field(
        default=200,
        ge=1,
        le=10_000,
        validation_alias="PIXMILL_MAX_PIPELINES",
        description="pipelines that a project may have; each is looked at when its cron expression says",
    )

    @property
    def keys_required(self) -> bool:
        return self.auth == "on"


def refuse_exposure(api: ApiSettings, listen: ListenSettings) -> None:
    """Without keys anyone who reaches the port owns every job, so nobody but this machine may reach it.

    Raises ConfigurationError.
    """
    if not api.keys_required and not is_loopback(listen.bind):
        raise ConfigurationError(
            f"PIXMILL_AUTH: off is for one machine only, and PIXMILL_BIND={listen.bind} is open to others. "
            "Set PIXMILL_AUTH=on and make a key with `pixmill keys create`, or set PIXMILL_BIND=127.0.0.1."
        )


def is_loopback(bind: str) -> bool:
    """Of an address, or the name ``localhost``; any other name may mean anything."""
    try:
        return ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"
