"""``metadata.order=A-17`` in the query of a list: rows whose metadata say so."""

import json
import math
from collections.abc import Iterable
from typing import Any, Final

from pixmill_api.domain.documents import MAX_METADATA_KEY_LENGTH, is_storable

START: Final = "metadata."
NAME_PATTERN: Final = rf"^metadata\.[\s\S]{{1,{MAX_METADATA_KEY_LENGTH}}}$"
MOST: Final = 10

Filter = tuple[dict[str, Any], ...]
"""Documents, one of which the metadata must contain."""


def read_filters(query: Iterable[tuple[str, str]]) -> tuple[Filter, ...]:
    """Of the parameters that begin with ``metadata.``: all of them must hold."""
    return tuple(_filter(name.removeprefix(START), text) for name, text in query if name.startswith(START))


def _filter(key: str, text: str) -> Filter:
    # What cannot be kept is in no row.
    return tuple({key: value} for value in _meant(text) if is_storable(key) and is_storable(text))


def _meant(text: str) -> list[Any]:
    """The text itself, and the number, true, false or null that is written like it."""
    try:
        value = json.loads(text, parse_constant=lambda _: None) if text == text.strip() else text
    except (ValueError, RecursionError):
        return [text]
    if isinstance(value, dict | list | str) or (isinstance(value, float) and not math.isfinite(value)):
        return [text]
    return [text] if value is None and text != "null" else [text, value]
