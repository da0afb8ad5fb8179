"""``Prefer`` (RFC 7240): ``wait=N``, for how many seconds an answer may be held. What is odd is ignored."""

import re
from collections.abc import Sequence
from typing import Final

MOST: Final = 60
"""Seconds that an answer is held at most; who prefers more is not waited for."""

# Preferences are separated by commas, their parameters by semicolons; neither separates inside of quotes, which end
# with the header at the latest.
_PREFERENCE: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*(?:"|\\?\Z))+', re.DOTALL)
_WAIT: Final = re.compile(r'\s*wait\s*=\s*(?:(\d{1,4})|"(\d{1,4})")\s*(?:;.*)?', re.IGNORECASE | re.ASCII | re.DOTALL)


def wait_of(headers: Sequence[str]) -> int | None:
    """Seconds; None if there is no such preference. Of several the first counts, as the RFC says."""
    for header in headers:
        for preference in _PREFERENCE.findall(header):
            found = _WAIT.fullmatch(preference)
            if found:
                seconds = int(found[1] or found[2])
                return seconds if seconds <= MOST else None
    return None
