"""Presets that every project has from the start. One of a project's own hides the built-in one of its name.

They change with pixmill's version only; a job keeps the recipe that it started with.
"""

from typing import Any, Final, NamedTuple

BUILTIN_VERSION: Final = 0


class BuiltinPreset(NamedTuple):
    """``recipe`` as a client would write it."""

    description: str
    recipe: dict[str, Any]


def _fill(width: int, height: int) -> dict[str, Any]:
    # Small sources are scaled up: who asks for a thumbnail counts on its size.
    return {"op": "resize", "width": width, "height": height, "mode": "fill", "gravity": "smart", "enlarge": True}


def _as_wide_as(width: int) -> dict[str, Any]:
    return {
        "name": f"w{width}",
        "operations": [{"op": "resize", "width": width}],
        "format": "webp",
        "metadata": "keep_copyright",
    }


# After a large step down edges are soft; a little sharpening brings back what the eye expects of a small picture.
_CRISP: Final = {"op": "filter", "name": "sharpen", "amount": 0.4}

BUILTIN: Final[dict[str, BuiltinPreset]] = {
    "thumbnail": BuiltinPreset(
        "A square of 320 pixels around the interesting part, as WebP. A still of an animation",
        {
            "outputs": [
                {
                    "name": "thumbnail",
                    "operations": [_fill(320, 320), _CRISP],
                    "format": "webp",
                    "quality": 75,
                    "animated": False,
                }
            ]
        },
    ),
    "web": BuiltinPreset(
        "Within 1600 by 1600 pixels, never enlarged, as WebP, with the copyright kept",
        {
            "outputs": [
                {
                    "name": "web",
                    "operations": [{"op": "resize", "width": 1600, "height": 1600}],
                    "format": "webp",
                    "metadata": "keep_copyright",
                }
            ]
        },
    ),
    "avatar": BuiltinPreset(
        "A circle of 256 pixels around the interesting part, transparent outside, as WebP. A still of an animation",
        {
            "outputs": [
                {
                    "name": "avatar",
                    "operations": [_fill(256, 256), {"op": "round"}],
                    "format": "webp",
                    "animated": False,
                }
            ]
        },
    ),
    "social-card": BuiltinPreset(
        "1200 by 630 pixels around the interesting part, as JPEG: what og:image and twitter:image show",
        {
            "outputs": [
                {
                    "name": "card",
                    "operations": [_fill(1200, 630)],
                    "format": "jpeg",
                    "quality": 85,
                }
            ]
        },
    ),
    "responsive": BuiltinPreset(
        "Five widths for srcset, 320 to 1920 pixels, as WebP, never enlarged, with the copyright kept",
        {"outputs": [_as_wide_as(width) for width in (320, 640, 960, 1280, 1920)]},
    ),
}
