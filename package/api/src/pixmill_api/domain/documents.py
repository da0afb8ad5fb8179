"""JSON from outside: what may be kept in a row.

Postgres keeps no NUL in text and no lone surrogate in jsonb, and JSON has no NaN. All of them can be written in a
body that Python reads without complaint.
"""

import json
import math
from typing import Any, Final

from pixmill_shared.domain.json_reader import JsonError, join_pointer

MAX_DEPTH: Final = 32
MAX_METADATA_KEYS: Final = 50
MAX_METADATA_KEY_LENGTH: Final = 64
MAX_METADATA_BYTES: Final = 8_000
_ENOUGH: Final = 50
_EXACT: Final = 2**53
"""Up to here a float is the integer that was written."""


def read_document(body: bytes) -> Any:
    """The value, or ValueError with a sentence. Takes UTF-8 only; NaN and Infinity are no JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_number)
    except UnicodeDecodeError:
        raise ValueError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    except ValueError as error:
        # Of ours, or a number with more digits than Python reads.
        raise ValueError(str(error) if str(error).startswith("The body") else "The body has a huge number.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"The body has {name} in it, which is no JSON.")


def _number(text: str) -> int | float:
    """JSON has one kind of number: 800.0 is the integer 800."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= _EXACT else value


def unstorable(document: object) -> list[JsonError]:
    """What cannot be kept, by pointer; at most 50."""
    wrong: list[JsonError] = []
    stack: list[tuple[object, str, int]] = [(document, "", 0)]
    while stack and len(wrong) < _ENOUGH:
        value, at, depth = stack.pop()
        sentence = _why_unstorable(value, depth)
        if sentence:
            wrong.append(JsonError(at, sentence))
        elif isinstance(value, dict):
            stack.extend((item, join_pointer(at, key), depth + 1) for key, item in value.items())
        elif isinstance(value, list):
            stack.extend((item, join_pointer(at, index), depth + 1) for index, item in enumerate(value))
    return wrong


def _why_unstorable(value: object, depth: int) -> str | None:
    if isinstance(value, str) and not is_storable(value):
        return "has a NUL character or half a surrogate pair in it"
    if isinstance(value, float) and not math.isfinite(value):
        return "is too big a number"
    if isinstance(value, dict) and not all(map(is_storable, value)):
        return "has a key with a NUL character or half a surrogate pair in it"
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        return f"is nested more than {MAX_DEPTH} levels deep"
    return None


def is_storable(text: str) -> bool:
    """No NUL, and encodable as UTF-8."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def wrong_metadata(metadata: dict[str, Any]) -> str | None:
    """Why ``metadata`` cannot be taken: it goes into lists, filters and webhooks, so it is flat and small."""
    if len(metadata) > MAX_METADATA_KEYS:
        return f"has more than {MAX_METADATA_KEYS} keys"
    for key, value in metadata.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY_LENGTH:
            return f"has a key that is not 1 to {MAX_METADATA_KEY_LENGTH} characters long"
        if isinstance(value, dict | list):
            return "may hold strings, numbers, true, false and null, but no arrays and objects"
    if len(json.dumps(metadata, ensure_ascii=False).encode(errors="replace")) > MAX_METADATA_BYTES:
        return f"has more than {MAX_METADATA_BYTES} bytes"
    return None
