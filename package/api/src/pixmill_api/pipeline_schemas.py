"""Pipelines: bodies of requests, and answers as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from pixmill_api.domain.patterns import TEXT
from pixmill_api.domain.pipeline_patterns import CRON, POINTER, ZONE
from pixmill_api.schema_rules import GIVEN
from pixmill_api.schemas import Metadata, Place, PresetReference, WebUrl
from pixmill_api.webhook_schemas import ReceiverUrl
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import Priority
from pixmill_shared.domain.pipelines import DEFAULT_CRON, RunStatus, RunTrigger, SourceType, StopReason
from pixmill_shared.service.cron import InvalidCron, InvalidZone, check_cron, check_zone

MOST_URLS: Final = 1_000
LONGEST_NAME: Final = 100
_LONGEST_POINTER: Final = 200
_NULL: Final = {"type": "null"}

#: What goes with each type, of which the first is needed, or both of ``urls`` one.
_FIELDS: Final[dict[SourceType, tuple[str, ...]]] = {
    SourceType.STORAGE: ("prefix",),
    SourceType.JSON: ("url", "items", "image", "key"),
    SourceType.RSS: ("url",),
    SourceType.ATOM: ("url",),
    SourceType.URLS: ("urls", "url"),
}
SOURCE_FIELDS: Final = ("prefix", "url", "urls", "items", "image", "key")


def _cron(text: str) -> str:
    try:
        return check_cron(text)
    except InvalidCron as error:
        raise PydanticCustomError("cron", "{reason}", {"reason": str(error)}) from None


def _zone(text: str) -> str:
    try:
        return check_zone(text).key
    except InvalidZone as error:
        raise PydanticCustomError("zone", "{reason}", {"reason": str(error)}) from None


Cron = Annotated[
    str,
    AfterValidator(_cron),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": CRON,
            "description": "minute, hour, day of month, month, day of week",
            "examples": [DEFAULT_CRON],
        }
    ),
]
Zone = Annotated[
    str,
    AfterValidator(_zone),
    WithJsonSchema(
        {"type": "string", "pattern": ZONE, "description": "an IANA time zone", "examples": ["Europe/Berlin"]}
    ),
]
Pointer = Annotated[str, Field(max_length=_LONGEST_POINTER, pattern=POINTER)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra={"pattern": TEXT})]


def _by_type(schema: dict[str, Any]) -> None:
    def only(kind: SourceType, needed: str) -> dict[str, Any]:
        others = {name: _NULL for name in SOURCE_FIELDS if name not in _FIELDS[kind]}
        if kind is SourceType.URLS:
            others = {**others, **{name: _NULL for name in _FIELDS[kind] if name != needed}}
        return {"required": [needed], "properties": {"type": {"const": kind}, needed: GIVEN, **others}}

    schema["oneOf"] = [only(kind, fields[0]) for kind, fields in _FIELDS.items()] + [only(SourceType.URLS, "url")]
    schema["examples"] = [{"type": "rss", "url": "https://example.com/photos.xml"}]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PipelineSource(_Body):
    """Where pictures appear. `storage`: objects under `prefix`; `json`, `rss` and `atom`: a feed at `url`; `urls`: a
    list, here or at `url`, one URL a line.
    """

    model_config = ConfigDict(json_schema_extra=_by_type)

    type: SourceType
    prefix: Place | None = Field(
        default=None, description="under a prefix that PIXMILL_SOURCES allows", examples=["s3://bucket/incoming"]
    )
    url: WebUrl | None = Field(default=None, description="fetched by a worker", examples=["https://example.com/feed"])
    urls: Annotated[list[WebUrl], Field(min_length=1, max_length=MOST_URLS)] | None = None
    items: Pointer | None = Field(
        default=None,
        description="where the list is in the JSON document (RFC 6901); of a JSON Feed its items, else the document",
        examples=["/data/photos"],
    )
    image: Pointer | None = Field(default=None, description="from an entry to its URL; /url", examples=["/src/large"])
    key: Pointer | None = Field(
        default=None, description="from an entry to what it is known by; /id, else its URL", examples=["/id"]
    )

    @model_validator(mode="after")
    def _fits(self) -> "PipelineSource":
        fields = _FIELDS[self.type]
        given = {name for name in SOURCE_FIELDS if getattr(self, name) is not None}
        if self.type is SourceType.URLS:
            needed, fits = "exactly one of urls and url", len(given) == 1
        else:
            needed, fits = fields[0], fields[0] in given
        if not fits or given - set(fields):
            raise PydanticCustomError(
                "source",
                "of type {kind} must have {needed}, and may have nothing but {fields}",
                {"kind": self.type, "needed": needed, "fields": ", ".join(fields)},
            )
        return self


class PipelineRequest(_Body):
    """A place, when to look there, and what to make of pictures that are new."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Press photos",
                    "source": {"type": "rss", "url": "https://example.com/photos.xml"},
                    "preset": "web",
                    "cron": DEFAULT_CRON,
                    "timezone": "Europe/Berlin",
                }
            ]
        }
    )

    name: Name
    source: PipelineSource
    preset: PresetReference
    cron: Cron = DEFAULT_CRON
    timezone: Zone | None = Field(default=None, description="CELERY_TIMEZONE if not given")
    priority: Priority = Priority.NORMAL
    webhook_url: ReceiverUrl | None = Field(
        default=None, description="is told when a job of the pipeline has ended, and when the pipeline fails, signed"
    )
    destination: Place | None = Field(
        default=None, description="where outputs are copied to, as of a job", examples=["s3://bucket/prefix"]
    )
    metadata: Metadata | None = None
    paused: StrictBool = False


class PipelineChange(_Body):
    """What is not given stays as it is; null takes a `webhook_url`, a `destination` or `metadata` away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cron": "0 6 * * 1-5", "priority": "low"}]})

    name: Name | None = None
    source: PipelineSource | None = None
    preset: PresetReference | None = None
    cron: Cron | None = None
    timezone: Zone | None = None
    priority: Priority | None = None
    webhook_url: ReceiverUrl | None = None
    destination: Place | None = None
    metadata: Metadata | None = None


class PipelineError(BaseModel):
    code: ErrorCode
    title: str
    detail: str
    retryable: bool


class PipelineDocument(BaseModel):
    """`next_run_at` is null while it is paused. `failures`: runs that failed, one after another."""

    pipeline_id: uuid.UUID
    name: str
    paused: bool
    running: bool
    source: PipelineSource
    preset: str
    preset_version: int = Field(description="of the recipe that new jobs get")
    cron: str
    timezone: str
    priority: Priority
    webhook_url: str | None
    destination: str | None
    metadata: dict[str, Any]
    next_run_at: datetime.datetime | None
    last_run_at: datetime.datetime | None
    failures: int
    failing_since: datetime.datetime | None
    error: PipelineError | None = Field(description="of the last run, if it failed")
    created_at: datetime.datetime
    updated_at: datetime.datetime
    urls: dict[str, str]


class PipelineList(BaseModel):
    data: list[PipelineDocument]
    next_cursor: str | None
    has_more: bool


class FoundItem(BaseModel):
    key: str
    location: str


class RunSummary(BaseModel):
    """One look at the source. `found`: pictures there; `created`: jobs made of those that were new."""

    run_id: uuid.UUID
    pipeline_id: uuid.UUID
    trigger: RunTrigger
    dry_run: bool
    status: RunStatus
    attempts: int
    found: int
    skipped: int = Field(description="entries that are no pictures, or have no address that may be fetched")
    created: int
    would_create: int | None = Field(description="of a dry run that has ended")
    unchanged: bool = Field(description="the source said that nothing had changed since the last look")
    stopped: StopReason | None = Field(
        description="why it ended before its source did; the next run goes on, but of a list that is `too_long`"
    )
    error: PipelineError | None
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    urls: dict[str, str]


class RunDocument(RunSummary):
    items: list[FoundItem] | None = Field(description="of a dry run: what would become jobs, the first 1,000")


class RunList(BaseModel):
    data: list[RunSummary]
    next_cursor: str | None
    has_more: bool


class ItemDocument(BaseModel):
    """A picture that was found, and the job that it became; null if that was deleted since."""

    item_id: uuid.UUID
    key: str
    location: str
    job_id: uuid.UUID | None
    created_at: datetime.datetime


class ItemList(BaseModel):
    data: list[ItemDocument]
    next_cursor: str | None
    has_more: bool
