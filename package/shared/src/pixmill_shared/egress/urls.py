"""URLs that come from outside: read once, into the form that is checked, connected to and sent.

One reading for all three is the point. Where a check and a connection each parse the text for themselves,
whoever finds a text that they read differently walks past the check.
"""

import unicodedata
from urllib.parse import urljoin, urlsplit, urlunsplit

import httpx

from pixmill_shared.domain.addresses import is_host_name, literal_address
from pixmill_shared.egress.errors import InvalidUrl

MAX_URL_LENGTH = 8192
DEFAULT_PORTS = {"http": 80, "https": 443}
# Dots of other scripts, which IDNA reads as dots. The full-width one becomes a dot by NFKC.
_OTHER_DOTS = str.maketrans({"\u3002": ".", "\uff61": "."})


def parse_url(text: str) -> httpx.URL:
    """The URL with a canonical host (lower case, IDNA, no trailing dot, addresses in their usual form).

    Raises InvalidUrl: not http or https, a login in it, no host, control characters, a port out of range.
    """
    if len(text) > MAX_URL_LENGTH:
        raise InvalidUrl(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    text = text.strip(" ")
    if "\\" in text or not text.isprintable():  # a blank is printable, and quoted; line breaks and tabs are not
        raise InvalidUrl("The URL has control characters or backslashes in it.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidUrl("The URL is malformed.") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise InvalidUrl("The URL must begin with http:// or https://.")
    if "@" in parts.netloc:
        raise InvalidUrl("The URL has a user name or a password in it, which is not accepted.")
    if not parts.hostname or port == 0:
        raise InvalidUrl("The URL has no host, or a port out of range.")
    return _build(parts.scheme, _canonical_host(parts.hostname), port, parts.path, parts.query)


def join_url(current: httpx.URL, location: str) -> httpx.URL:
    """Where a redirect leads. Raises InvalidUrl."""
    try:
        return parse_url(urljoin(str(current), location))
    except ValueError:
        raise InvalidUrl(f"{current.host} redirects to a malformed URL.") from None


def port_of(url: httpx.URL) -> int:
    return url.port or DEFAULT_PORTS[url.scheme]


def _canonical_host(host: str) -> str:
    host = unicodedata.normalize("NFKC", host.translate(_OTHER_DOTS)).lower().removesuffix(".")
    try:
        if not host.isascii():
            # httpx encodes names by IDNA 2008, which refuses invisible and look-alike characters.
            host = httpx.URL(scheme="http", host=host).raw_host.decode("ascii")
        address = literal_address(host)
    except (ValueError, httpx.InvalidURL):
        raise InvalidUrl("The URL has a malformed host name.") from None
    if address is not None:
        return str(address)
    if not is_host_name(host):
        raise InvalidUrl("The URL has a malformed host name.")
    return host


def _build(scheme: str, host: str, port: int | None, path: str, query: str) -> httpx.URL:
    authority = f"[{host}]" if ":" in host else host
    if port is not None:
        authority += f":{port}"
    try:
        url = httpx.URL(urlunsplit((scheme, authority, path or "/", query, "")))
    except httpx.InvalidURL:
        raise InvalidUrl("The URL is malformed.") from None
    if url.raw_host != host.encode("ascii") or not _is_readable(url):
        raise InvalidUrl("The URL has a malformed host name.")
    return url


def _is_readable(url: httpx.URL) -> bool:
    """httpx decodes a name that begins with ``xn--`` whenever it is asked for it, and raises if it means nothing."""
    try:
        return bool(url.host)
    except ValueError:
        return False
