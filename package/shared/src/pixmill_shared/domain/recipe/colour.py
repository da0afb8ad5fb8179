"""Colours as CSS writes them: ``#rgb``, ``#rgba``, ``#rrggbb``, ``#rrggbbaa`` or one of its plain names."""

import re
from typing import Any, Final, NamedTuple, Self

from pixmill_shared.domain.recipe.fields import Fields

_NAMES: Final = {
    "transparent": "#00000000",
    "black": "#000000",
    "silver": "#c0c0c0",
    "gray": "#808080",
    "grey": "#808080",
    "white": "#ffffff",
    "maroon": "#800000",
    "red": "#ff0000",
    "purple": "#800080",
    "fuchsia": "#ff00ff",
    "green": "#008000",
    "lime": "#00ff00",
    "olive": "#808000",
    "yellow": "#ffff00",
    "navy": "#000080",
    "blue": "#0000ff",
    "teal": "#008080",
    "aqua": "#00ffff",
    "orange": "#ffa500",
}
_HEX: Final = r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})"

#: JSON Schema of a field that is a colour.
COLOUR_SCHEMA: Final[dict[str, Any]] = {"type": "string", "pattern": f"^(?:{_HEX}|{'|'.join(_NAMES)})$"}


class Colour(NamedTuple):
    """sRGB, each channel from 0 to 255; ``alpha`` 255 is opaque."""

    red: int
    green: int
    blue: int
    alpha: int = 255

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None if it is no colour."""
        written = _NAMES.get(text, text)
        if not re.fullmatch(_HEX, written):
            return None
        digits = written[1:]
        if len(digits) <= 4:
            digits = "".join(digit * 2 for digit in digits)
        return cls(*bytes.fromhex(digits))

    @property
    def is_opaque(self) -> bool:
        return self.alpha == 255

    def __str__(self) -> str:
        """``#rrggbb``, or ``#rrggbbaa`` where it is not opaque."""
        return "#" + bytes(self[:3] if self.is_opaque else self).hex()


WHITE: Final = Colour(255, 255, 255)
TRANSPARENT: Final = Colour(0, 0, 0, 0)


def read_colour(fields: Fields, key: str, default: Colour) -> Colour:
    """The field's colour, ``default`` where it is absent; what is no colour is noted in ``fields``."""
    if not fields.given(key):
        return default
    value = fields.raw(key)
    found = Colour.parse(value) if isinstance(value, str) else None
    if found is None:
        fields.fail(f"must be #rgb, #rgba, #rrggbb, #rrggbbaa or one of {', '.join(_NAMES)}", key)
    return found or default
