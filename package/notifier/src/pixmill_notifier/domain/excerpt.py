"""What is kept of an answer: its start, without what the receiver repeats of the request and nobody else may read."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

KEPT: Final = 2_048
"""Characters."""
READ: Final = 8_192
"""Bytes: so much more that what begins among those that are kept is known whole, and left out whole."""

_MASK: Final = "…"
_SHORT: Final = 4
"""Characters: what is shorter is left out only where it stands for itself."""


def _encoded(char: str) -> str:
    """A pattern for an ASCII character as it is, in a URL, in JSON and in HTML."""
    code = ord(char)
    forms = [rf"\\?{re.escape(char)}", f"%(?:25)*{code:02x}", rf"\\u{code:04x}", f"&#0*{code};", f"&#x0*{code:x};"]
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", " ": r"\+"}
    return f"(?:{'|'.join([*forms, *([named[char]] if char in named else [])])})"


_QUERY: Final = re.compile(rf"{_encoded('?')}[\w.~%-]{{1,100}}?{_encoded('=')}[^\s\"'<>]*", re.IGNORECASE)


def excerpt_of(answer: str, secrets: Iterable[str]) -> str:
    """At most ``KEPT`` characters: no query of any URL, and none of ``secrets`` (ASCII), however it is encoded."""
    text = _QUERY.sub(f"?{_MASK}", answer)
    if text and (patterns := [_pattern(each) for each in sorted(set(secrets), key=len, reverse=True) if each]):
        text = re.sub("|".join(patterns), _MASK, text, flags=re.IGNORECASE)
    return text[:KEPT]


def secrets_of(headers: Iterable[str], url: str) -> list[str]:
    """What ``excerpt_of`` leaves out: values of headers, what follows their scheme (``Bearer``), those of a query."""
    found = [value for _, value in parse_qsl(urlsplit(url).query)]
    for value in headers:
        found += [value, value.partition(" ")[2].strip()]
    return found


def _pattern(secret: str) -> str:
    # Letters and digits are encoded by nobody.
    whole = "".join(char if char.isalnum() or char == "_" else _encoded(char) for char in secret)
    return whole if len(secret) >= _SHORT else rf"(?<!\w){whole}(?!\w)"
