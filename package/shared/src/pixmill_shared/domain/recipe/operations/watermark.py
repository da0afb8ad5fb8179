"""Put another picture, or a text, on the picture."""

import re
import unicodedata
import uuid
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self

from pixmill_shared.domain.recipe.colour import COLOUR_SCHEMA, WHITE, Colour, read_colour
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.gravity import Gravity
from pixmill_shared.domain.recipe.limits import MAX_DIMENSION
from pixmill_shared.domain.recipe.operations.form import Form

MAX_TEXT: Final = 500
MAX_LINES: Final = 20
MOST_SIZE: Final = 1000

DEFAULT_FONT: Final = "sans"
DEFAULT_SIZE: Final = 32
_LEAST_SCALE: Final = 0.01

_SPACE: Final = r" \n\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROL: Final = r"\x00-\x09\x0b-\x1f\x7f-\x9f"
#: Something that can be seen, and no control characters but line feeds.
_TEXT: Final = f"^[{_SPACE}]*[^{_SPACE}{_CONTROL}][^{_CONTROL}]*$"
_SHA256: Final = r"[0-9a-f]{64}"
#: A name and never a path.
_FONT: Final = r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}"


@dataclass(frozen=True)
class ImageMark:
    """An upload of the same project. ``sha256`` (hex) of its bytes is filled in when a job is made; where it is there
    already, the upload must have it.
    """

    upload_id: str
    sha256: str | None = None

    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["upload_id"],
        "properties": {
            "upload_id": {"type": "string", "format": "uuid"},
            "sha256": {"type": "string", "pattern": f"^{_SHA256}$"},
        },
    }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        upload_id, sha256 = _uuid_of(fields.raw("upload_id")), fields.raw("sha256")
        if upload_id is None:
            fields.fail("must be the id of an upload" if fields.given("upload_id") else "is missing", "upload_id")
        if fields.given("sha256") and not (isinstance(sha256, str) and re.fullmatch(_SHA256, sha256)):
            fields.fail("must be 64 hexadecimal digits in lower case", "sha256")
        return cls(upload_id or "", sha256 if isinstance(sha256, str) else None)

    def canonical(self) -> dict[str, object]:
        return {"upload_id": self.upload_id, **({} if self.sha256 is None else {"sha256": self.sha256})}


@dataclass(frozen=True)
class TextMark:
    """``size`` in pixels to the em; it is made smaller where the text would not fit. ``font`` is preferred: what it has
    no glyph for, or all where there is no such font, is drawn by others, as in CSS.
    """

    text: str
    size: int = DEFAULT_SIZE
    color: Colour = WHITE
    font: str = DEFAULT_FONT

    SCHEMA: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["text"],
        "properties": {
            "text": {"type": "string", "minLength": 1, "maxLength": MAX_TEXT, "pattern": _TEXT},
            "size": {"type": "integer", "minimum": 1, "maximum": MOST_SIZE, "default": DEFAULT_SIZE},
            "color": {**COLOUR_SCHEMA, "default": str(WHITE)},
            "font": {"type": "string", "pattern": f"^{_FONT}$", "default": DEFAULT_FONT},
        },
    }

    @classmethod
    def read(cls, fields: Fields) -> Self:
        font = fields.raw("font") if fields.given("font") else DEFAULT_FONT
        if not (isinstance(font, str) and re.fullmatch(_FONT, font)):
            fields.fail("must be the name of a font: letters, digits, spaces, _ and -", "font")
            font = DEFAULT_FONT
        size = fields.integer("size", DEFAULT_SIZE, 1, MOST_SIZE) or DEFAULT_SIZE
        return cls(_read_text(fields), size, read_colour(fields, "color", WHITE), font)

    def canonical(self) -> dict[str, object]:
        return {"text": self.text, "size": self.size, "color": str(self.color), "font": self.font}


@dataclass(frozen=True)
class Watermark:
    """``margin`` in pixels: to the edges, and between tiles. ``opacity`` from 0 to 1. ``scale`` is the width of an
    image as a fraction of the picture's; without it the image has its own size. A mark is never larger than the
    picture within its margins. ``tile`` repeats it in all directions from where ``gravity`` puts it.
    """

    SCHEMA: ClassVar[dict[str, Any]] = {
        "image": ImageMark.SCHEMA,
        "text": TextMark.SCHEMA,
        "gravity": {"enum": list(Gravity), "default": "center"},
        "margin": {"type": "integer", "minimum": 0, "maximum": MAX_DIMENSION, "default": 0},
        "opacity": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
        "tile": {"type": "boolean", "default": False},
        "scale": {"type": "number", "minimum": _LEAST_SCALE, "maximum": 1},
    }

    FORMS: ClassVar[tuple[Form, ...]] = (
        Form("image", ("image",), {"text": None}),
        Form("text", ("text",), {"image": None, "scale": None}),
    )

    mark: ImageMark | TextMark
    gravity: Gravity = Gravity.CENTER
    margin: int = 0
    opacity: float = 1.0
    tile: bool = False
    scale: float | None = None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        return cls(
            _read_mark(fields),
            fields.choice("gravity", Gravity.CENTER),
            fields.integer("margin", 0, 0, MAX_DIMENSION) or 0,
            fields.number("opacity", 1.0, 0, 1),
            fields.boolean("tile", False),
            fields.number("scale", 1.0, _LEAST_SCALE, 1) if fields.given("scale") else None,
        )

    def canonical(self) -> dict[str, object]:
        return self._canonical(self.mark.canonical())

    def decisive(self) -> dict[str, object]:
        """What decides the pixels: the bytes of an image, not under which id they came in."""
        mark = self.mark
        if isinstance(mark, ImageMark) and mark.sha256 is not None:
            return self._canonical({"sha256": mark.sha256})
        return self.canonical()

    def pinned(self, sha256: str) -> Self:
        """With the digest of its image's bytes; a text is as it is."""
        return replace(self, mark=replace(self.mark, sha256=sha256)) if isinstance(self.mark, ImageMark) else self

    def _canonical(self, mark: dict[str, object]) -> dict[str, object]:
        return {
            "op": "watermark",
            "image" if isinstance(self.mark, ImageMark) else "text": mark,
            "gravity": str(self.gravity),
            "margin": self.margin,
            "opacity": self.opacity,
            "tile": self.tile,
            **({} if self.scale is None else {"scale": self.scale}),
        }


def _read_mark(fields: Fields) -> ImageMark | TextMark:
    if fields.given("image") == fields.given("text"):
        fields.fail("must have either image or text")
        return TextMark("")
    kind: type[ImageMark | TextMark] = ImageMark if fields.given("image") else TextMark
    key = "image" if kind is ImageMark else "text"
    if key == "text" and fields.given("scale"):
        fields.fail("is for images; the size of a text is text/size", "scale")
    inner = fields.inner(key, tuple(kind.SCHEMA["properties"]))
    return TextMark("") if inner is None else kind.read(inner)


def _read_text(fields: Fields) -> str:
    value = fields.raw("text")
    if not isinstance(value, str):
        fields.fail("must be a string" if fields.given("text") else "is missing", "text")
        return ""
    text = unicodedata.normalize("NFC", value.replace("\r\n", "\n"))
    if not 1 <= len(text) <= MAX_TEXT or text.isspace():
        fields.fail(f"must have 1 to {MAX_TEXT} characters, not only spaces", "text")
    elif text.count("\n") >= MAX_LINES:
        fields.fail(f"must have at most {MAX_LINES} lines", "text")
    elif any(unicodedata.category(character) in ("Cc", "Cs") for character in text if character != "\n"):
        fields.fail("must have no control characters but line feeds", "text")
    return text


def _uuid_of(value: object) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) and len(value) == len(str(uuid.NAMESPACE_DNS)) else None
    except ValueError:
        return None
