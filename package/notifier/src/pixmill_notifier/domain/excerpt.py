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
_BACKSLASHES: Final = 64
"""In a row."""


def _encoded(char: str) -> str:
    """A pattern for an ASCII character as it is, in a URL, in HTML, and in JSON up to three times over."""
    code = ord(char)
    forms = [re.escape(char), f"%(?:25)*{code:02x}", f"&#0*{code};", f"&#x0*{code:x};"]
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", " ": r"\+"}
    plain = "|".join([*forms, *([named[char]] if char in named else [])])
    escaped = rf"\\{{1,7}}+u{code:04x}"
    if char == "\\":
        # A row of them, which doubles each time.
        return f"(?:{plain}|{escaped}){{1,{_BACKSLASHES}}}"
    return rf"(?:\\{{0,7}}+(?:{plain})|{escaped})"


_QUERY: Final = rf"{_encoded('?')}[\w.~%-]{{1,100}}?{_encoded('=')}[^\s\"'<>]*"


def excerpt_of(answer: str, secrets: Iterable[str]) -> str:
    """At most ``KEPT`` characters: no query of any URL, and none of ``secrets`` (ASCII), however it is encoded.

    Only of the first ``KEPT`` of ``answer``: what comes later may begin with a secret whose end was not read.
    """
    patterns = [_pattern(each) for each in sorted(set(secrets), key=len, reverse=True) if each]
    kept, at = [], 0
    for found in re.finditer("|".join([f"(?P<query>{_QUERY})", *patterns]), answer, flags=re.IGNORECASE):
        if found.start() >= KEPT:
            break
        kept += [answer[at : found.start()], f"?{_MASK}" if found["query"] else _MASK]
        at = found.end()
    return "".join([*kept, answer[at:KEPT]])[:KEPT]


def secrets_of(headers: Iterable[str], url: str) -> list[str]:
    """What ``excerpt_of`` leaves out: values of headers, what follows their scheme (``Bearer``), those of a query."""
    found = [value for _, value in parse_qsl(urlsplit(url).query)]
    for value in headers:
        found += [value, value.partition(" ")[2].strip()]
    return found


def _pattern(secret: str) -> str:
    # Letters and digits are encoded by nobody.
    parts = re.findall(r"\\+|.", secret, re.DOTALL)
    whole = "".join(part if part.isalnum() or part == "_" else _encoded(part[0]) for part in parts)
    return whole if len(secret) >= _SHORT else rf"(?<!\w){whole}(?!\w)"
