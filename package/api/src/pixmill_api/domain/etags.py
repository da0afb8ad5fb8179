"""``If-Match`` (RFC 9110): a change only of what the client has seen."""

import re
from typing import Final

_TAG: Final = re.compile(r'(?:^|,)[ \t]*("[\x21\x23-\x7e]*")[ \t]*(?=,|$)')


def matches(if_match: str, current: str | None) -> bool:
    """``current``: the strong entity tag, in its quotes; None: there is nothing. Weak tags match nothing."""
    if current is None:
        return False
    return if_match.strip() == "*" or current in _TAG.findall(if_match)
