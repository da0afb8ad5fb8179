"""Batches: bodies of requests, and answers as the OpenAPI document shows them."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from pixmill_api.schema_rules import GIVEN, NO_KEYS, WITH_DESTINATION
from pixmill_api.schemas import Metadata, Options, Place, PresetReference, ProblemError, Source
from pixmill_api.settings.batches import MOST_ITEMS
from pixmill_api.webhook_schemas import ReceiverUrl
from pixmill_shared.contract.queues import Priority
from pixmill_shared.domain.batches import BatchStatus
from pixmill_shared.domain.recipe import RECIPE_SCHEMA

_NULL: Final = {"type": "null"}
_NOT_BOTH: Final[dict[str, Any]] = {
    "anyOf": [{"properties": {"recipe": _NULL}}, {"properties": {"preset": _NULL}}],
}
_NAMED: Final[dict[str, Any]] = {
    "anyOf": [{"required": [name], "properties": {name: GIVEN}} for name in ("recipe", "preset")]
}
_PLACED: Final[dict[str, Any]] = {"anyOf": [WITH_DESTINATION, {"properties": {"recipe": NO_KEYS}}]}


def _one_will_do(schema: dict[str, Any]) -> None:
    """A wrong item is rejected alone. So one must be right, with what the batch says for all of them."""
    items = schema["properties"]["items"]
    item = items["items"]
    items["items"] = {"anyOf": [item, {"description": "Whatever is wrong becomes no job"}]}

    def batch(*rules: dict[str, Any], item_rules: list[dict[str, Any]]) -> dict[str, Any]:
        return {"allOf": [*rules, {"properties": {"items": {"contains": {"allOf": [item, *item_rules]}}}}]}

    schema["allOf"] = [_NOT_BOTH]
    schema["anyOf"] = [
        batch(_NAMED, {"properties": {"recipe": NO_KEYS}}, item_rules=[_PLACED]),
        batch(_NAMED, WITH_DESTINATION, item_rules=[]),
        batch(_NAMED, item_rules=[WITH_DESTINATION]),
        batch(WITH_DESTINATION, item_rules=[_NAMED]),
        batch(item_rules=[_NAMED, _PLACED]),
    ]
    schema["examples"] = [{"items": _SOURCES, "recipe": {"outputs": [{"name": "web"}]}}]


_SOURCES: Final[list[Any]] = [
    {"source": {"url": "https://example.com/1.jpg"}},
    {"source": {"url": "https://example.com/2.jpg"}},
]

Recipe = Annotated[Any, WithJsonSchema({"anyOf": [RECIPE_SCHEMA, _NULL]})]


class BatchItem(BaseModel):
    """A source. What it does not say itself, the batch says for it."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_NOT_BOTH)

    source: Source
    recipe: Recipe = None
    preset: PresetReference | None = None
    destination: Place | None = None
    webhook_url: ReceiverUrl | None = Field(default=None, description="is told when this job has ended, signed")
    metadata: Metadata | None = None


class BatchOptions(Options):
    """What a batch says for all its items."""

    recipe: Recipe = None
    preset: PresetReference | None = None
    destination: Place | None = Field(default=None, examples=["s3://bucket/prefix"])
    webhook_url: ReceiverUrl | None = Field(
        default=None, description="is told once, when the last job has ended (`batch.completed`), signed"
    )


class BatchRequest(BatchOptions):
    """Pictures, and what to make of them: `recipe` or `preset`, for all items that have none of their own."""

    model_config = ConfigDict(json_schema_extra=_one_will_do)

    items: list[BatchItem] = Field(
        min_length=1,
        max_length=MOST_ITEMS,
        description="an item that is wrong is `rejected`, and stops none of the others; if all are, the batch is",
    )


class BatchCounts(BaseModel):
    """Items by how they stand. `rejected` ones became no jobs."""

    queued: int
    processing: int
    completed: int
    failed: int
    canceled: int
    rejected: int


class RejectedItem(BaseModel):
    """Why no job was made of the item at `index`."""

    index: int
    errors: list[ProblemError]


class BatchJob(BaseModel):
    """The job that was made of the item at `index`."""

    index: int
    job_id: uuid.UUID


class BatchSummary(BaseModel):
    """Jobs that were asked for together. `total` jobs, beside the items that were rejected."""

    batch_id: uuid.UUID
    status: BatchStatus
    total: int
    counts: BatchCounts
    progress: int = Field(ge=0, le=100, description="percent of the jobs that have ended, in whatever way")
    metadata: dict[str, Any]
    priority: Priority
    webhook_url: str | None
    retry_of: uuid.UUID | None = Field(description="the batch whose failed and canceled jobs this one repeats")
    created_at: datetime.datetime
    finished_at: datetime.datetime | None
    urls: dict[str, str | None] = Field(description="`cancel` is null when all jobs have ended")


class BatchDocument(BatchSummary):
    """`total` jobs, beside the items that were rejected."""

    rejected: list[RejectedItem] = Field(description="pointers are into the body that made the batch")


class CreatedBatch(BatchDocument):
    """`jobs` in the order of the items; shown here only, later `urls.jobs` lists them."""

    jobs: list[BatchJob]


class BatchList(BaseModel):
    data: list[BatchSummary]
    next_cursor: str | None
    has_more: bool
