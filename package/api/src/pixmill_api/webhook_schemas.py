"""Endpoints and deliveries: bodies of requests, and answers as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from pixmill_api import schema_examples
from pixmill_api.domain.header_rules import HEADERS_SCHEMA
from pixmill_api.domain.header_rules import MOST as MOST_HEADERS
from pixmill_api.domain.patterns import TEXT, WEB_URL, WEBHOOK_SECRET
from pixmill_shared.contract.events import FILTERABLE, DisabledReason, EventType
from pixmill_shared.domain.jobs import JobStatus
from pixmill_shared.domain.webhook_secrets import LONGEST, SHORTEST, is_secret
from pixmill_shared.egress import InvalidUrl
from pixmill_shared.egress.urls import parse_url

LONGEST_URL: Final = 2_000
LONGEST_DESCRIPTION: Final = 500


def _receiver_url(text: str) -> str:
    """In its canonical form: a name of another script becomes punycode, and other letters their bytes in hex."""
    if "#" in text:
        raise PydanticCustomError("url", "has a fragment, which is never sent: leave it out")
    try:
        url = str(parse_url(text))
    except InvalidUrl as error:
        raise PydanticCustomError("url", "{reason}", {"reason": error.detail}) from None
    if len(url) > LONGEST_URL:
        raise PydanticCustomError("url", "has more than {most} characters once it is encoded", {"most": LONGEST_URL})
    return url


def _filterable(found: list[str]) -> list[str]:
    for event in found:
        if event not in FILTERABLE:
            raise PydanticCustomError("events", "may hold {known}", {"known": ", ".join(FILTERABLE)})
    if len(set(found)) < len(found):
        raise PydanticCustomError("events", "names an event twice")
    return found


def _secret(text: str) -> str:
    if not is_secret(text):
        raise PydanticCustomError(
            "secret",
            "must be whsec_ followed by {least} to {most} bytes in base64",
            {"least": SHORTEST, "most": LONGEST},
        )
    return text


ReceiverUrl = Annotated[
    str,
    Field(max_length=LONGEST_URL),
    AfterValidator(_receiver_url),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": WEB_URL,
            "description": f"at most {LONGEST_URL} characters",
            "examples": ["https://example.com/hooks/pixmill"],
        }
    ),
]
Events = Annotated[
    list[str],
    Field(description="the types that it hears of; empty: all"),
    AfterValidator(_filterable),
    WithJsonSchema({"type": "array", "uniqueItems": True, "items": {"type": "string", "enum": list(FILTERABLE)}}),
]
Description = Annotated[
    str, StringConstraints(max_length=LONGEST_DESCRIPTION), Field(json_schema_extra={"pattern": TEXT})
]
Headers = Annotated[
    dict[str, Any],
    Field(max_length=MOST_HEADERS),
    WithJsonSchema(
        {**HEADERS_SCHEMA, "description": "sent along with every webhook; kept encrypted and never shown again"}
    ),
]
Secret = Annotated[
    str,
    AfterValidator(_secret),
    WithJsonSchema(
        {
            "type": "string",
            "description": "your own, for example of a former system; made if not given",
            "pattern": WEBHOOK_SECRET,
            "examples": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        }
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EndpointRequest(_Body):
    """Where webhooks go, and which."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.ENDPOINT_REQUEST]})

    url: ReceiverUrl
    events: Events = []
    description: Description = ""
    headers: Headers = {}
    secret: Secret | None = None


class EndpointChange(_Body):
    """What is not given stays as it is."""

    url: ReceiverUrl | None = None
    events: Events | None = None
    description: Description | None = None
    headers: Headers | None = Field(default=None, description="all of them: those that were there before are gone")
    disabled: StrictBool | None = None


class RotateRequest(_Body):
    secret: Secret | None = None


class EndpointDocument(BaseModel):
    """A receiver of the project's events. Values of its headers and its secrets are not shown."""

    endpoint_id: uuid.UUID
    url: str
    events: list[EventType]
    description: str
    header_names: list[str]
    disabled: bool
    disabled_at: datetime.datetime | None
    disabled_reason: DisabledReason | None
    failing_since: datetime.datetime | None = Field(description="no try got through since then")
    created_at: datetime.datetime
    updated_at: datetime.datetime
    urls: dict[str, str]


class CreatedEndpoint(EndpointDocument):
    secret: str = Field(description="`whsec_…`: verifies what comes from pixmill. Shown here only: keep it")


class RotatedSecret(BaseModel):
    """Until `former_expires_at` webhooks carry a signature by each secret."""

    endpoint_id: uuid.UUID
    secret: str = Field(description="the new one. Shown here only: keep it")
    former_expires_at: datetime.datetime


class EndpointList(BaseModel):
    data: list[EndpointDocument]
    next_cursor: str | None
    has_more: bool


class AttemptDocument(BaseModel):
    """One HTTP try: a status code, or what went wrong."""

    at: datetime.datetime
    status_code: int | None
    duration_ms: int
    error: str | None
    response_excerpt: str | None = Field(
        description="the start of the answer, without queries of URLs or the endpoint's headers; not in lists"
    )


class DeliveryDocument(BaseModel):
    """One event for one receiver. `canceled`: the endpoint was disabled before it could be sent."""

    delivery_id: uuid.UUID
    status: JobStatus
    type: EventType
    event_id: uuid.UUID
    message_id: str = Field(description="the `webhook-id`: the same for all receivers, tries and repeats of an event")
    job_id: uuid.UUID | None
    endpoint_id: uuid.UUID | None = Field(description="null: it goes to the `webhook_url` of the job")
    url: str = Field(description="without its query")
    error: str | None
    attempts: list[AttemptDocument]
    next_attempt_at: datetime.datetime | None = Field(description="null: it is due, or over")
    replay_of: uuid.UUID | None
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    urls: dict[str, str | None]


class DeliveryList(BaseModel):
    data: list[DeliveryDocument]
    next_cursor: str | None
    has_more: bool


class Recovered(BaseModel):
    """`has_more`: the same call would send more."""

    recovered: int
    has_more: bool
