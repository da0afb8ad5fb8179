"""A JSON Feed (jsonfeed.org), or a list somewhere in a JSON document. Where, RFC 6901 pointers say."""

import json
from typing import Any, Final

from pixmill_imaging.domain.feeds.found import FeedError, Gathered, is_picture

_JSON_FEED: Final = "https://jsonfeed.org/version/"
_ABSENT: Final = object()


def read_json_list(
    data: bytes, base: str, *, items: str | None = None, image: str | None = None, key: str | None = None
) -> Gathered:
    """``items`` points to the list (a JSON Feed's own if not given, or the document itself), ``image`` and ``key``
    from each of its entries to the address and the id (``/url`` and ``/id``). An entry may be an address itself.

    Raises FeedError.
    """
    document = _parsed(data)
    gathered = Gathered(base)
    if items is None and isinstance(document, dict) and str(document.get("version", "")).startswith(_JSON_FEED):
        for entry in _list(document.get("items")):
            _add_feed_item(gathered, entry, image, key)
        return gathered
    for entry in _list(_at(document, items or "")):
        if isinstance(entry, str):
            gathered.add(None, [entry])
        else:
            gathered.add(_key_of(entry, key or "/id"), _texts(_at(entry, image or "/url")))
    return gathered


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError):
        raise FeedError("The source is no JSON in UTF-8.") from None
    except RecursionError:
        raise FeedError("The source is JSON that is nested too deeply.") from None


def _list(found: object) -> list[Any]:
    if not isinstance(found, list):
        raise FeedError("There is no list where the pipeline looks for one in the JSON document.")
    return found


def _add_feed_item(gathered: Gathered, entry: Any, image: str | None, key: str | None) -> None:
    if not isinstance(entry, dict):
        gathered.skipped += 1
        return
    urls = _texts(_at(entry, image or "/image"))
    attachments = entry.get("attachments")
    for each in attachments if isinstance(attachments, list) and image is None else ():
        url, kind = (each.get("url"), each.get("mime_type")) if isinstance(each, dict) else (None, None)
        if isinstance(url, str) and is_picture(url, kind if isinstance(kind, str) else None):
            urls.append(url)
    gathered.add(_key_of(entry, key or "/id"), urls)


def _texts(found: object) -> list[str]:
    """One address, or a list of them."""
    each = found if isinstance(found, list) else [found]
    return [text for text in each if isinstance(text, str)]


def _key_of(entry: object, pointer: str) -> str | None:
    found = _at(entry, pointer)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    return str(found)


def _at(document: object, pointer: str) -> object:
    """``_ABSENT`` where the pointer leads nowhere."""
    found: Any = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 7 and int(name) < len(found):
            found = found[int(name)]
        else:
            return _ABSENT
    return found
