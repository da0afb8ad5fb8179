"""Presets as the OpenAPI document shows them."""

import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from pixmill_api.domain.presets import MAX_DESCRIPTION
from pixmill_shared.domain.recipe import RECIPE_SCHEMA

_RECIPE: Final[dict[str, Any]] = {
    "outputs": [
        {
            "name": "hero",
            "operations": [{"op": "resize", "width": 1200, "height": 400, "mode": "fill", "gravity": "smart"}],
            "format": "webp",
        }
    ]
}
_EXAMPLE: Final[dict[str, Any]] = {
    "name": "hero",
    "version": 1,
    "builtin": False,
    "description": "The strip over an article",
    "recipe": {"outputs": [_RECIPE["outputs"][0] | {"metadata": "strip", "quality": 80}]},
    "created_at": "2030-01-31T08:00:00Z",
    "urls": {"self": "https://pixmill.example.com/api/v1/presets/hero"},
}


class PresetRequest(BaseModel):
    """A recipe as jobs have it, under a name."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"recipe": _RECIPE, "description": _EXAMPLE["description"]}]},
    )

    recipe: Annotated[Any, WithJsonSchema(RECIPE_SCHEMA)]
    description: Annotated[str, Field(max_length=MAX_DESCRIPTION)] = ""


class PresetDocument(BaseModel):
    """A version of a preset; `recipe` has every default filled in. A built-in one has version 0 and no time."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: str
    version: int
    builtin: bool
    description: str
    recipe: dict[str, Any]
    created_at: datetime.datetime | None
    urls: dict[str, str]


class PresetList(BaseModel):
    """The newest version of each."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"data": [_EXAMPLE], "next_cursor": None, "has_more": False}]}
    )

    data: list[PresetDocument]
    next_cursor: str | None
    has_more: bool
