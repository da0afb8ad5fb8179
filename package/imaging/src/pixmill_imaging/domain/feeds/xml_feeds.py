"""RSS 2.0 (and its older kin) and Atom, read by expat as a stream: no tree, no entities of the document's own.

What a feed declares as an entity is refused as a whole, so nothing can grow in it, and expat never fetches anything.
"""

from typing import Final
from xml.parsers import expat

from pixmill_imaging.domain.feeds.found import FeedError, Gathered, is_picture

_ATOM: Final = "http://www.w3.org/2005/Atom"
_MEDIA: Final = ("http://search.yahoo.com/mrss/", "http://search.yahoo.com/mrss")
_RSS: Final = ("", "http://purl.org/rss/1.0/", "http://my.netscape.com/rdf/simple/0.9/")

_DEEPEST: Final = 100
_LONGEST_KEY_TEXT: Final = 10_000
"""Characters of a guid that are looked at."""


def read_xml_feed(data: bytes, base: str) -> Gathered:
    """Pictures of enclosures and of ``media:content``. Raises FeedError if it is no feed, or a hostile one."""
    reader = _Reader(base)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise FeedError(f"The source is no well-formed XML: {expat.ErrorString(error.code)}.") from None
    except (LookupError, UnicodeError):
        raise FeedError("The source is XML in an encoding that is not known.") from None
    if not reader.is_feed:
        raise FeedError("The source is XML, and neither RSS nor Atom.")
    return reader.gathered


def _refuse_entities(*_: object) -> None:
    raise FeedError("The feed declares entities, which is not accepted.")


class _Reader:
    """Handlers of expat. An entry is open while ``_entry`` is the depth at which it began."""

    def __init__(self, base: str) -> None:
        self.gathered = Gathered(base)
        self.is_feed = False
        self._depth = 0
        self._entry: int | None = None
        self._urls: list[str] = []
        self._key: list[str] = []
        self._key_length = 0
        self._in_key = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FeedError("The feed is nested too deeply.")
        space, _, local = name.rpartition(" ")
        if self._depth == 1:
            self.is_feed = local in ("rss", "RDF") or (space, local) == (_ATOM, "feed")
        elif self._entry is None:
            if (local == "item" and space in _RSS) or (space, local) == (_ATOM, "entry"):
                self._entry, self._urls, self._key, self._key_length = self._depth, [], [], 0
        else:
            self._inside(space, local, attributes)

    def end(self, _name: str) -> None:
        self._in_key = False
        if self._entry == self._depth:
            self.gathered.add("".join(self._key).strip() or None, self._urls)
            self._entry = None
        self._depth -= 1

    def text(self, data: str) -> None:
        if self._in_key and self._key_length < _LONGEST_KEY_TEXT:
            self._key.append(data)
            self._key_length += len(data)

    def _inside(self, space: str, local: str, attributes: dict[str, str]) -> None:
        direct = self._entry is not None and self._depth == self._entry + 1
        if direct and ((local == "guid" and space in _RSS) or (space, local) == (_ATOM, "id")):
            self._in_key = not self._key
        elif direct and local == "enclosure" and space in _RSS:
            self._take(attributes.get("url"), attributes.get("type"))
        elif direct and (space, local) == (_ATOM, "link") and attributes.get("rel") == "enclosure":
            self._take(attributes.get("href"), attributes.get("type"))
        elif local == "content" and space in _MEDIA:
            kind = attributes.get("type") or ("image/*" if attributes.get("medium") == "image" else None)
            self._take(attributes.get("url"), kind)

    def _take(self, url: str | None, media_type: str | None) -> None:
        if url and is_picture(url, media_type):
            self._urls.append(url)
