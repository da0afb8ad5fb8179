"""Texts of people, in bodies: any script, and no characters that nobody can see."""

import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_CONTROL: Final = r"\x00-\x1f\x7f-\x9f"
#: Of text in several lines: all but tabs and ends of lines.
_CONTROL_IN_LINES: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"


def _free_of(control: str) -> str:
    return f"^[^{control}]*$"


def _seen_without(control: str) -> str:
    """Not all of it spaces."""
    return rf"^[^{control}]*[^\s{control}][^{control}]*$"


LINE: Final = _free_of(_CONTROL)
SOMETHING: Final = _seen_without(_CONTROL)
"""Regular expressions of one line, the second not of one that is blank."""


def wrong_line(value: str, most: int) -> str | None:
    """Why it is no line of text with at most ``most`` characters."""
    if len(value) > most:
        return f"may have {most} characters, and has {len(value)}"
    return _wrong(value, _CONTROL)


def _wrong(value: str, control: str) -> str | None:
    return "has a control character in it" if re.search(f"[{control}]", value) else None


@dataclass(frozen=True)
class Text:
    """Annotates a ``str``: at most ``most`` characters, none of them a control character, but with ``lines`` tabs and
    ends of lines; if not ``blank``, there is something to be seen.
    """

    most: int
    lines: bool = False
    blank: bool = True

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, core_schema.str_schema(max_length=self.most))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        pattern = _free_of(self._control) if self.blank else _seen_without(self._control)
        return {"type": "string", "maxLength": self.most, "pattern": pattern}

    @property
    def _control(self) -> str:
        return _CONTROL_IN_LINES if self.lines else _CONTROL

    def _checked(self, value: str) -> str:
        if wrong := _wrong(value, self._control):
            raise PydanticCustomError("text", "{reason}", {"reason": wrong})
        if not self.blank and not value.strip():
            raise PydanticCustomError("text", "must not be empty")
        return value
