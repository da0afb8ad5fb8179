"""Headers that a user may have sent along with webhooks: none that is ours, or the connection's."""

import re
from typing import Any, Final

MOST: Final = 20
LONGEST_NAME: Final = 100
LONGEST_VALUE: Final = 2_000

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_OURS: Final = frozenset(
    (
        *("host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("user-agent", "accept-encoding", "date", "forwarded"),
    )
)
_OUR_STARTS: Final = ("webhook-", "content-", "proxy-", "sec-", "x-forwarded-")


def wrong_header(name: str, value: object) -> str | None:
    """Why it cannot be sent along."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        return f"is not the name of a header, of at most {LONGEST_NAME} characters"
    if name.lower() in _OURS or name.lower().startswith(_OUR_STARTS):
        return "is set by pixmill or by the connection, and cannot be given"
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or len(value) > LONGEST_VALUE:
        return f"must have 1 to {LONGEST_VALUE} printable ASCII characters, without blanks at its ends"
    return None


def _any_case(text: str) -> str:
    return "".join(f"[{char.upper()}{char}]" if char.isalpha() else char for char in text)


_RESERVED: Final = "|".join((*(f"{_any_case(name)}$" for name in sorted(_OURS)), *map(_any_case, _OUR_STARTS)))

HEADERS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "maxProperties": MOST,
    "propertyNames": {
        "pattern": f"^{_NAME.pattern}$",
        "maxLength": LONGEST_NAME,
        "not": {"pattern": f"^({_RESERVED})"},
    },
    "additionalProperties": {"type": "string", "pattern": f"^{_VALUE.pattern}$", "maxLength": LONGEST_VALUE},
    "examples": [{"X-Shop": "seven"}],
}
"""The same as JSON Schema."""
