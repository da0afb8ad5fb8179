"""Bodies of the short form, ``POST /process``: one output that fits into a box, or what a preset says."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, WithJsonSchema

from pixmill_api import schema_examples
from pixmill_api.schema_rules import as_form
from pixmill_api.schemas import Options, PresetReference, WebUrl
from pixmill_shared.domain.recipe import FILTERS, MAX_DIMENSION

DIMENSION_SCHEMA: Final[dict[str, Any]] = {"type": "integer", "minimum": 1, "maximum": MAX_DIMENSION}

BOX: Final = ("width", "height", "filter")
"""What a preset goes without."""


def _box_or_preset(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"properties": {"preset": {"type": "null"}}},
        {"properties": dict.fromkeys(BOX, False)},
    ]


class ShortOptions(Options):
    """One output that fits into a box, or what a preset says."""

    model_config = ConfigDict(json_schema_extra=_box_or_preset)

    width: Annotated[Any, WithJsonSchema(DIMENSION_SCHEMA)] = 800
    height: Annotated[Any, WithJsonSchema(DIMENSION_SCHEMA)] = 600
    filter: Annotated[Any, WithJsonSchema({"type": "string", "enum": ["none", *FILTERS]})] = "none"
    preset: PresetReference | None = None


def _as_short_form(schema: dict[str, Any]) -> None:
    as_form(schema)
    blank = {"const": ""}
    schema["anyOf"] = [{"properties": {"preset": blank}}, {"properties": dict.fromkeys(BOX, blank)}]
    schema["examples"] = [{"file": "…", "width": 800, "height": 600, "filter": "sharpen"}]


class ProcessForm(ShortOptions):
    """The short form, with the bytes of the picture: one output that fits into a box."""

    model_config = ConfigDict(json_schema_extra=_as_short_form)


def _as_short_request(schema: dict[str, Any]) -> None:
    _box_or_preset(schema)
    schema["examples"] = [schema_examples.PROCESS_REQUEST]


class ProcessRequest(ShortOptions):
    """The short form, with the address of the picture."""

    model_config = ConfigDict(json_schema_extra=_as_short_request)

    image_url: WebUrl
