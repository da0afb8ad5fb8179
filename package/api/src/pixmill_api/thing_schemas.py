"""Things that pictures are generated of: bodies of requests, and how each came out."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, WithJsonSchema

from pixmill_api import schema_examples
from pixmill_api.schema_rules import GIVEN, NO_KEYS
from pixmill_api.schemas import JobError, Options, OutputDocument, Place, PresetReference
from pixmill_api.text_schemas import Text
from pixmill_shared.domain.generation import MOST_ITEMS, Fallback
from pixmill_shared.domain.recipe import RECIPE_SCHEMA

MOST_NAME: Final = 200
MOST_PROMPT: Final = 4_000
MOST_CATEGORY: Final = 100
MOST_DESCRIPTION: Final = 2_000
"""Characters."""

MOST_OUTPUTS: Final = 32_767
"""Outputs of one job: items by outputs of its recipe."""

_NULL: Final = {"type": "null"}
_DISTINGUISHING: Final = {"pattern": r"\{(name|sha256)\}"}
_PLACED: Final[dict[str, Any]] = {
    "required": ["destination"],
    "properties": {
        "destination": GIVEN,
        "recipe": {"properties": {"outputs": {"items": {"properties": {"key": _DISTINGUISHING}}}}},
    },
}
NOT_BOTH: Final[dict[str, Any]] = {
    "anyOf": [{"properties": {"recipe": _NULL}}, {"properties": {"preset": _NULL}}],
}

Category = Annotated[str, Text(MOST_CATEGORY), Field(examples=["Starters"])]
Description = Annotated[str, Text(MOST_DESCRIPTION, lines=True), Field(examples=["Young soybeans with sea salt"])]
Name = Annotated[str, Text(MOST_NAME, blank=False), Field(examples=["Edamame"])]
Prompt = Annotated[str, Text(MOST_PROMPT, lines=True, blank=False)]
Recipe = Annotated[Any, WithJsonSchema({"anyOf": [RECIPE_SCHEMA, _NULL]})]


class Thing(BaseModel):
    """What a picture is wanted of. Things with the same prompt get the same picture, unless `cache` is false."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    prompt: Prompt | None = Field(
        default=None, description="what the model is told, instead of what is made of the rest"
    )
    category: Category = ""
    description: Description | None = None


class GenerationOptions(Options):
    """What every request for pictures may say. Without `recipe` and `preset` there is one output, a png as the model
    made it.
    """

    fallback: Fallback = Field(
        default=Fallback.PLACEHOLDER,
        description="what becomes of an item that no model makes a picture of: a card with its name on it, which says "
        "that it is one; a failed job, at the first of them; or nothing",
    )
    cache: StrictBool = Field(
        default=True, description="pictures of the same prompt, model and settings are used again, of other jobs too"
    )
    recipe: Recipe = None
    preset: PresetReference | None = None


class GenerateRequest(GenerationOptions):
    """Things, and what to make of each picture: `recipe` or `preset`, or neither."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [NOT_BOTH, {"anyOf": [_PLACED, {"properties": {"recipe": NO_KEYS}}]}],
            "examples": [schema_examples.GENERATE_REQUEST],
        }
    )

    kind: Literal["generate"]
    items: list[Thing] = Field(min_length=1, max_length=MOST_ITEMS)
    destination: Place | None = Field(
        default=None,
        description="where each output is copied to, by its `key`, which must have `{name}` or `{sha256}` in it",
        examples=["s3://bucket/prefix"],
    )


class GenerationItemDocument(BaseModel):
    """One thing. `provider` made its picture: `placeholder` made a card, null: there is none."""

    position: int = Field(ge=0)
    category: str
    name: str
    prompt: str
    status: Literal["pending", "finished"]
    generation_success: bool = Field(description="a model made the picture")
    provider: str | None
    error: JobError | None = Field(description="why no model made one")
    outputs: list[OutputDocument]
    cached: bool = Field(description="the picture existed already")
    duration_ms: int | None = Field(description="that the picture took")


class GenerationItemList(BaseModel):
    """In the order of the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [schema_examples.ITEMS]})

    data: list[GenerationItemDocument]
    next_cursor: str | None
    has_more: bool
