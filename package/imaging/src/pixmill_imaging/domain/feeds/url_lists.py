"""URLs, one a line; empty lines and those that begin with # say nothing."""

from pixmill_imaging.domain.feeds.found import FeedError, Gathered


def read_url_list(data: bytes) -> Gathered:
    """Text in UTF-8. Raises FeedError if it is none, or has lines and no URL in any."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FeedError("The list is no text in UTF-8.") from None
    gathered = Gathered("")
    for line in text.splitlines():
        url = line.strip()
        if url and not url.startswith("#"):
            gathered.add(None, [url])
    if gathered.skipped and not gathered.items:
        raise FeedError("The list has no line with a URL that begins with http:// or https://.")
    return gathered
