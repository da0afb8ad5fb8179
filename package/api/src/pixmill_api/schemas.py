"""Bodies of requests: the pydantic models that check them and that the OpenAPI document shows."""

import datetime
import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from pixmill_api import schema_examples
from pixmill_api.domain.documents import MAX_METADATA_BYTES, MAX_METADATA_KEY_LENGTH, MAX_METADATA_KEYS, wrong_metadata
from pixmill_api.domain.moments import MEANT, parse_moment
from pixmill_api.domain.patterns import PLACE, TEXT, WEB_URL
from pixmill_api.domain.presets import REFERENCE_PATTERN
from pixmill_api.generation_schemas import GenerationDocument
from pixmill_api.parameters import Id
from pixmill_api.schema_rules import NO_KEYS, WITH_DESTINATION, as_form, one_of
from pixmill_api.webhook_schemas import ReceiverUrl
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import Priority
from pixmill_shared.domain.jobs import JobKind, JobStatus, Stage
from pixmill_shared.domain.places import MAX_PLACE
from pixmill_shared.domain.recipe import RECIPE_SCHEMA
from pixmill_shared.egress import InvalidUrl
from pixmill_shared.egress.urls import MAX_URL_LENGTH, parse_url


def _web_url(text: str) -> str:
    """Syntax only: which addresses may be reached is decided when the worker connects."""
    try:
        parse_url(text)
    except InvalidUrl as error:
        raise PydanticCustomError("url", "{reason}", {"reason": error.detail}) from None
    return text.strip(" ")


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    wrong = wrong_metadata(value)
    if wrong:
        raise PydanticCustomError("metadata", "{reason}", {"reason": wrong})
    return value


WebUrl = Annotated[
    str,
    Field(max_length=MAX_URL_LENGTH),
    AfterValidator(_web_url),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": WEB_URL,
            "description": f"at most {MAX_URL_LENGTH} characters",
            "examples": ["https://example.com/photo.jpg"],
        }
    ),
]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "description": f"Up to {MAX_METADATA_KEYS} keys of yours with strings, numbers, booleans or null, "
            f"{MAX_METADATA_BYTES} bytes of JSON together; comes back with the job and in webhooks",
            "maxProperties": MAX_METADATA_KEYS,
            "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_LENGTH, "pattern": TEXT},
            "additionalProperties": {"type": ["string", "number", "boolean", "null"], "pattern": TEXT},
            "examples": [{"order": "A-17"}],
        }
    ),
]


def _moment(value: object) -> datetime.datetime:
    moment = parse_moment(value) if isinstance(value, str) else None
    if moment is None:
        raise PydanticCustomError("moment", MEANT)
    return moment


Moment = Annotated[
    datetime.datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2030-01-31T08:00:00+01:00"]}),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


PresetReference = Annotated[
    str,
    Field(
        description="a preset's name, or `name@version`; the job keeps the recipe that it had then",
        pattern=f"^{REFERENCE_PATTERN}$",
        examples=["web"],
    ),
]


Place = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PLACE),
    WithJsonSchema({"type": "string", "pattern": PLACE, "examples": ["s3://bucket/prefix"]}),
]


class Source(_Body):
    """Exactly one of ``upload_id``, ``url`` and ``key``."""

    model_config = ConfigDict(
        json_schema_extra={
            **one_of("upload_id", "url", "key"),
            "examples": [{"url": "https://example.com/photo.jpg"}],
        }
    )

    upload_id: Id | None = Field(default=None, description="from POST /api/v1/uploads")
    url: WebUrl | None = Field(default=None, description="http or https; fetched by a worker")
    key: Place | None = Field(
        default=None,
        description="an object under a prefix that PIXMILL_SOURCES allows: its whole address, or what follows the "
        "prefix where there is one only",
        examples=["s3://bucket/prefix/photo.jpg"],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> "Source":
        if [self.upload_id, self.url, self.key].count(None) != 2:
            raise PydanticCustomError("source", "must have exactly one of upload_id, url and key")
        return self


class Options(_Body):
    """What every submission may say."""

    priority: Priority = Priority.NORMAL
    run_at: Moment | None = Field(
        default=None, description="not to be started before; a time that is over already means at once"
    )
    webhook_url: ReceiverUrl | None = Field(default=None, description="is told when the job has ended, signed")
    metadata: Metadata | None = None


class JobRequest(Options):
    """A source, and what to make of it: exactly one of `recipe` and `preset`."""

    model_config = ConfigDict(
        json_schema_extra={
            **one_of("recipe", "preset"),
            "anyOf": [WITH_DESTINATION, {"properties": {"recipe": NO_KEYS}}],
            "examples": [schema_examples.JOB_REQUEST],
        }
    )

    kind: Literal["process"] = "process"
    source: Source
    destination: Place | None = Field(
        default=None,
        description="where each output is copied to, by its `key`: an address under a prefix that "
        "PIXMILL_DESTINATIONS allows",
        examples=["s3://bucket/prefix"],
    )
    recipe: Annotated[Any, WithJsonSchema({"anyOf": [RECIPE_SCHEMA, {"type": "null"}]})] = None
    preset: PresetReference | None = None


class UploadForm(_Body):
    """The picture alone."""

    model_config = ConfigDict(json_schema_extra=as_form)


class UploadDocument(BaseModel):
    """Bytes that are there; `sha256` in hex."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.UPLOAD]})

    upload_id: uuid.UUID
    bytes: int
    sha256: str
    media_type: str


class OutputDocument(BaseModel):
    """One made picture: sizes in pixels, `url` is signed and ends at `expires_at`.

    `thumbhash` (base64) and `dominant_color` (`#rrggbb`) are for what a page shows while it loads.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.OUTPUT]})

    name: str
    url: str
    expires_at: datetime.datetime
    width: int
    height: int
    format: str
    bytes: int
    sha256: str
    frames: int
    thumbhash: str | None
    dominant_color: str | None
    cached: bool = Field(description="it existed already, and was not made again")
    storage_key: str | None = Field(description="the copy at the job's destination, as s3://bucket/prefix/key")


class JobError(BaseModel):
    """Why a job failed. `retryable`: the same job may succeed later."""

    code: ErrorCode
    title: str
    detail: str
    retryable: bool


class PresetUsed(BaseModel):
    """`version` 0: the built-in one."""

    name: str
    version: int


class JobDocument(BaseModel):
    """`result` repeats the first output. `queue_position` is how many jobs come first; null above 1,000, when the
    job does not wait, and in lists."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.JOB, schema_examples.NEW_JOB]})

    job_id: uuid.UUID
    kind: JobKind
    status: JobStatus
    stage: Stage | None
    priority: Priority
    progress: int = Field(ge=0, le=100, description="percent")
    source: dict[str, Any] = Field(description="of a job that generates: empty")
    destination: str | None
    preset: PresetUsed | None = Field(description="what the recipe was named")
    outputs: list[OutputDocument] = Field(
        description="of a job that generates: those that are there, also while it runs, the first of very many "
        "(1,000; 100 in lists); `/items` has all"
    )
    result: OutputDocument | None
    error: JobError | None
    generation: GenerationDocument | None = Field(description="of a job that generates, else null")
    attempts: int
    queue_position: int | None
    batch_id: uuid.UUID | None
    batch_index: int | None = Field(description="of the item in the request that made the batch")
    pipeline_id: uuid.UUID | None = Field(description="what found the source, if it was a pipeline")
    retry_of: uuid.UUID | None = Field(description="the job that this one repeats")
    metadata: dict[str, Any]
    run_at: datetime.datetime | None = Field(description="a queued job is not started before; null: it is due")
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    urls: dict[str, str | None] = Field(
        description="`self`; `events`, which a browser can open; `cancel` while the job can be canceled, else null"
    )


class JobList(BaseModel):
    data: list[JobDocument]
    next_cursor: str | None
    has_more: bool


class ProblemError(BaseModel):
    pointer: str = Field(description="RFC 6901, into the body; /query/… for parameters")
    detail: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[ProblemError] | None = None
