"""Addresses in somebody's storage: ``s3://bucket/prefix``, ``gs://…``, ``az://…``, ``file:///directory``.

They are compared by whole segments and taken literally. What one store reads in a way of its own (``..``, ``%2e``, an
empty segment) is refused, so that nothing leads out of a prefix that is allowed.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

MAX_PLACE: Final = 900
"""Bytes of an address in UTF-8: keys of S3 may have 1024, file names 255 in a segment."""
MAX_SEGMENT: Final = 200

_ADDRESS: Final = re.compile(r"(file|s3|gs|az)://([^/]*)(/.*|)", re.DOTALL)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ODD: Final = re.compile(r"[\x00-\x1f\x7f%?#\\]")


class InvalidPlace(ValueError):
    """The message says which rule is broken, as the end of a sentence."""


@dataclass(frozen=True)
class Place:
    """``bucket`` is empty for ``file``. No segments: the whole bucket."""

    scheme: str
    bucket: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """A slash may end it. Raises InvalidPlace."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise InvalidPlace("must begin with s3://, gs://, az:// or file:///")
        scheme, bucket, path = found.groups()
        if scheme == "file" and (bucket or not path.strip("/")):
            raise InvalidPlace("must name a directory by its absolute path, with three slashes after file:")
        if scheme != "file" and not _BUCKET.fullmatch(bucket):
            raise InvalidPlace("must name a bucket after the two slashes, without login or port")
        path = path[1:].removesuffix("/")
        return cls(scheme, bucket, segments_of(path) if path else ())._checked()

    def below(self, key: str) -> Self:
        """The place of ``key`` in this one. Raises InvalidPlace."""
        return type(self)(self.scheme, self.bucket, (*self.segments, *segments_of(key)))._checked()

    def holds(self, other: "Place") -> bool:
        """Is ``other`` this place, or below it?"""
        same = (self.scheme, self.bucket) == (other.scheme, other.bucket)
        return same and other.segments[: len(self.segments)] == self.segments

    def key_of(self, other: "Place") -> str:
        """The rest of an ``other`` that this place holds."""
        return "/".join(other.segments[len(self.segments) :])

    def __str__(self) -> str:
        return "/".join((f"{self.scheme}://{self.bucket}", *self.segments))

    def _checked(self) -> Self:
        if len(str(self).encode()) > MAX_PLACE:
            raise InvalidPlace(f"has more than {MAX_PLACE} bytes")
        return self


def segments_of(key: str) -> tuple[str, ...]:
    """What is between the slashes. Raises InvalidPlace."""
    if _ODD.search(key) or any("\ud800" <= char <= "\udfff" for char in key):
        raise InvalidPlace(r"may have no %, ?, #, \ and no control character in it; it is not decoded")
    segments = tuple(key.split("/"))
    for segment in segments:
        if segment in ("", ".", ".."):
            raise InvalidPlace("may have no empty segment, no . and no .. between its slashes")
        if len(segment.encode()) > MAX_SEGMENT:
            raise InvalidPlace(f"has a segment of more than {MAX_SEGMENT} bytes")
    return segments
