"""Where a pipeline looks: a list that somebody publishes, URLs of its own, or a prefix of the users' storage."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pixmill_imaging.domain.feeds import FeedError, Found, Gathered, read_json_list, read_url_list, read_xml_feed
from pixmill_imaging.domain.feeds.found import bounded_key
from pixmill_imaging.settings import IngestSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.domain.pipelines import SourceType, is_picture_name
from pixmill_shared.domain.places import InvalidPlace, Place
from pixmill_shared.egress import EgressClient, SourceNotFound
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.storage import StorageUnavailable
from pixmill_shared.storage.places import Places

NOT_MODIFIED = 304


@dataclass
class Look:
    """What there is at a source. ``items`` may be read once; ``skipped`` grows while they are.

    ``cursor``: what the next look may ask with, when all items are done; ``unchanged``: the source says that there is
    nothing new; ``cut``: it says more than is taken.
    """

    items: Iterator[Found]
    skipped: int = 0
    cursor: dict[str, Any] = field(default_factory=dict)
    unchanged: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Reader:
    """``fetching`` has the total deadline of a fetch."""

    egress: EgressClient
    places: Places
    fetching: EgressSettings
    settings: IngestSettings

    def look(self, source: dict[str, Any], cursor: dict[str, Any]) -> Look:
        """Raises the errors of ``egress`` and ``storage``, and PermanentError for what is no list; also while the items
        are read.
        """
        kind = SourceType(source["type"])
        if kind is SourceType.STORAGE:
            return self._storage(Place.parse(source["prefix"]))
        try:
            if "urls" in source:
                return _look_at(read_url_list("\n".join(source["urls"]).encode()))
            return self._fetched(kind, source, cursor)
        except FeedError as error:
            raise PermanentError(ErrorCode.SOURCE_UNREADABLE, str(error)) from None

    def _fetched(self, kind: SourceType, source: dict[str, Any], cursor: dict[str, Any]) -> Look:
        asked = {"If-None-Match": cursor.get("etag"), "If-Modified-Since": cursor.get("last_modified")}
        headers = {name: value for name, value in asked.items() if value}
        most, seconds = self.settings.max_bytes, self.fetching.fetch_timeout
        try:
            with self.egress.download(source["url"], max_bytes=most, deadline=seconds, headers=headers) as download:
                data = b"".join(download.chunks)
        except SourceNotFound as error:
            if error.status == NOT_MODIFIED and headers:
                return Look(iter(()), cursor=cursor, unchanged=True)
            raise
        look = _look_at(_parsed(kind, data, download.url, source))
        found = {"etag": download.etag, "last_modified": download.last_modified}
        look.cursor = {name: value for name, value in found.items() if value and value.isprintable()}
        return look

    def _storage(self, prefix: Place) -> Look:
        look = Look(iter(()))
        look.items = self._objects(prefix, look)
        return look

    def _objects(self, prefix: Place, look: Look) -> Iterator[Found]:
        allowed = self.places.check(prefix)
        store, key = self.places.find(prefix)
        try:
            for info in store.list(key):
                try:
                    place = allowed.below(info.key)
                except InvalidPlace:
                    look.skipped += 1
                    continue
                if info.size and is_picture_name(info.key):
                    yield Found(bounded_key(str(place)), str(place))
                else:
                    look.skipped += 1
        except StorageUnavailable as error:
            # Theirs, not ours: pixmill does not wait for it without end.
            raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, f"{prefix} could not be listed.") from error


def _parsed(kind: SourceType, data: bytes, url: str, source: dict[str, Any]) -> Gathered:
    if kind is SourceType.JSON:
        pointers = {name: source.get(name) for name in ("items", "image", "key")}
        return read_json_list(data, url, **pointers)
    if kind is SourceType.URLS:
        return read_url_list(data)
    return read_xml_feed(data, url)


def _look_at(gathered: Gathered) -> Look:
    return Look(iter(gathered.items), gathered.skipped, cut=gathered.cut)
