"""Menus: what pictures are wanted of, and how they came out, category by category."""

import datetime
import uuid
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator
from pydantic_core import PydanticCustomError

from pixmill_api import schema_examples
from pixmill_api.domain.patterns import TEXT
from pixmill_api.openapi import REF
from pixmill_api.schema_rules import NO_KEYS
from pixmill_api.schemas import JobError
from pixmill_api.text_schemas import LINE, SOMETHING, Text
from pixmill_api.thing_schemas import MOST_CATEGORY, MOST_NAME, NOT_BOTH, Description, GenerationOptions
from pixmill_shared.domain.generation import MOST_ITEMS
from pixmill_shared.domain.jobs import JobStatus

MOST_CATEGORIES: Final = 200
MOST_SESSION: Final = 200
"""Characters."""
MOST_FIELDS: Final = 50
MOST_ITEM_BYTES: Final = 8_000
"""Of one dish, as JSON."""

_TEXT: Final = {"type": "string", "pattern": SOMETHING}

DishName = Annotated[str, Text(MOST_NAME)]
Session = Annotated[str, Text(MOST_SESSION), Field(examples=["table-7"])]


def _kept(schema: dict[str, Any]) -> None:
    again = {"$ref": REF.format(model="Kept")}
    title = schema.pop("title")
    schema.clear()
    schema |= {
        "title": title,
        "description": "any JSON, without NULs in it",
        "anyOf": [
            {"type": ["number", "boolean", "null"]},
            {"type": "string", "pattern": TEXT},
            {"type": "array", "items": again},
            {"type": "object", "propertyNames": {"pattern": TEXT}, "additionalProperties": again},
        ],
        "examples": ["¥480"],
    }


class Kept(RootModel[Any]):
    """What nobody looks at."""

    model_config = ConfigDict(frozen=True, json_schema_extra=_kept)


def _dish(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": [name], "properties": {name: _TEXT}} for name in ("english_name", "japanese_name")]
    schema["maxProperties"] = MOST_FIELDS
    schema["propertyNames"] = {"pattern": TEXT}
    schema["examples"] = [schema_examples.DISH]


class Dish(BaseModel):
    """One thing on a menu, with at least one of the two names. Other keys are kept, and come back."""

    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra=_dish)

    __pydantic_extra__: dict[str, Kept]

    japanese_name: DishName | None = None
    english_name: DishName | None = None
    description: Description | None = None

    @model_validator(mode="after")
    def _named(self) -> "Dish":
        if not self.name:
            raise PydanticCustomError("dish", "must have an english_name or a japanese_name")
        return self

    @property
    def name(self) -> str:
        """What its picture is named for."""
        return (self.english_name or "").strip() or (self.japanese_name or "").strip()


def _menu(schema: dict[str, Any]) -> None:
    dish = schema["properties"]["final_menu"]["additionalProperties"]["items"]
    schema["properties"]["final_menu"] = {
        "type": "object",
        "description": f"dishes by category, whose order is kept; one at least, {MOST_ITEMS} at most in all",
        "minProperties": 1,
        "maxProperties": MOST_CATEGORIES,
        "propertyNames": {"maxLength": MOST_CATEGORY, "pattern": LINE},
        "additionalProperties": {"type": "array", "maxItems": MOST_ITEMS, "items": dish},
        # Not all of them are empty.
        "not": {"additionalProperties": {"maxItems": 0}},
    }
    schema["allOf"] = [NOT_BOTH, {"properties": {"recipe": NO_KEYS}}]
    schema["examples"] = [schema_examples.MENU_REQUEST]


class MenuRequest(GenerationOptions):
    """A menu, of which a picture of each dish is wanted."""

    model_config = ConfigDict(json_schema_extra=_menu)

    #: How many there may be, and what they are called, is looked at before (``menu_reading.py``).
    final_menu: dict[str, list[Dish]]
    session_id: Session | None = Field(
        default=None, description="of yours: `metadata.session_id` of the job, which `GET /jobs` looks for"
    )


class MenuAccepted(BaseModel):
    """The job was made, and is watched by `status_endpoint`, or as every job is."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.MENU_ACCEPTED]})

    success: bool
    job_id: uuid.UUID
    status: JobStatus
    session_id: str | None
    total_items: int
    total_chunks: int
    estimated_time_seconds: int = Field(ge=0, description="once it is begun; learned from the last pictures")
    status_endpoint: str
    urls: dict[str, str | None] = Field(description="those of the job: `self`, `events`, `cancel`")


class ProcessingInfo(BaseModel):
    """How far it is; `estimated_time_seconds` is what is left."""

    total_chunks: int
    completed_chunks: int
    total_items: int
    completed_items: int
    estimated_time_seconds: int = Field(ge=0)
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None


class PicturedDish(BaseModel):
    """The dish as it was given, and its picture."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [schema_examples.PICTURED]})

    image_url: str | None = Field(description="null: it has none")
    generation_success: bool = Field(description="a model made the picture")
    provider: str | None = Field(description="who made it; `placeholder`: it is a card with the name")
    error: JobError | None = Field(description="why no model made one")


class MenuStatus(BaseModel):
    """How the pictures of a menu come along. What is null is there when the job has ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.MENU_STATUS]})

    job_id: uuid.UUID
    status: JobStatus
    progress_percent: int = Field(ge=0, le=100)
    session_id: str | None
    processing_info: ProcessingInfo
    total_items: int
    images_generated: dict[str, list[PicturedDish]] | None = Field(description="all dishes, in the order of the menu")
    total_images: int | None = Field(description="pictures of models, and placeholders")
    success_rate: float | None = Field(
        ge=0, le=1, description="pictures of models by all dishes; placeholders do not count"
    )
    error: JobError | None = Field(description="why the job failed")
