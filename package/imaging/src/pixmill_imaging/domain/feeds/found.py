"""What a list has in it: pictures, each once, in its order."""

import hashlib
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from pixmill_shared.domain.pipelines import LONGEST_KEY, is_picture_name

MOST_FOUND: Final = 20_000
"""Of one list; it is nearly always the newest that stand first."""

LONGEST_URL: Final = 8_192


class FeedError(ValueError):
    """The message is a sentence for people: why no list could be read."""


class Found(NamedTuple):
    """``key`` is what the source knows it by, ``location`` where it is: a URL, or the address of an object."""

    key: str
    location: str


class Gathered:
    """``items`` in their order. ``skipped``: entries without a picture, or with an address that is none."""

    def __init__(self, base: str) -> None:
        """``base`` is the URL that the list came from, or nothing."""
        self.items: list[Found] = []
        self.skipped = 0
        #: There were more than are taken.
        self.cut = False
        self._base = base
        self._keys: set[str] = set()

    def add(self, key: str | None, urls: list[str]) -> None:
        """An entry. The first of its pictures goes by the entry's own key, where it has one: addresses change."""
        good = list(dict.fromkeys(filter(None, (self._absolute(url) for url in urls))))
        if not good:
            self.skipped += 1
        for place, url in enumerate(good):
            own = url if not key else key if place == 0 else f"{key} {url}"
            self._take(Found(bounded_key(own), url))

    def _take(self, found: Found) -> None:
        if found.key in self._keys:
            return
        if len(self.items) >= MOST_FOUND:
            self.cut = True
            return
        self._keys.add(found.key)
        self.items.append(found)

    def _absolute(self, url: str) -> str | None:
        try:
            whole = urljoin(self._base, url.strip())
            parts = urlsplit(whole)
        except ValueError:
            return None
        # What says nothing leads back to the list itself.
        fits = parts.scheme in ("http", "https") and parts.netloc and whole != self._base and len(whole) <= LONGEST_URL
        return whole.partition("#")[0] if fits and whole.isprintable() else None


def bounded_key(key: str) -> str:
    """The key, or its digest if it is too long to be kept. What Postgres takes in no text is replaced first."""
    plain = key.encode("utf-8", errors="replace").decode().replace("\0", "\ufffd")
    return plain if len(plain) <= LONGEST_KEY else f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def is_picture(url: str, media_type: str | None) -> bool:
    """By its media type where one is given and says something, else by its name."""
    kind = (media_type or "").partition(";")[0].strip().lower()
    if kind not in ("", "application/octet-stream", "binary/octet-stream"):
        return kind.startswith("image/") and kind != "image/svg+xml"
    return is_picture_name(url.partition("?")[0].partition("#")[0])
