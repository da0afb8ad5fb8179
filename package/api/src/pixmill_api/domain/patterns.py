"""Regular expressions for the OpenAPI document: whatever matches is taken, and nearly all that is taken matches."""

from typing import Final

_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_TOP_LABEL: Final = "[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PORT: Final = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}"
_CHARACTER: Final = "[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}"

WEB_URL: Final = rf"^https?://({_LABEL}\.){{0,3}}{_TOP_LABEL}(:({_PORT}))?(/({_CHARACTER})*)?(\?({_CHARACTER}|\?)*)?$"
"""With a name of up to four labels; addresses, longer names and those of other scripts are taken too."""

_BASE64: Final = "[A-Za-z0-9+/]"
WEBHOOK_SECRET: Final = (
    rf"^whsec_({_BASE64}{{4}}){{8,20}}({_BASE64}{{4}}({_BASE64}{{2}}==)?|{_BASE64}{{3}}=|{_BASE64}{{2}}==)?$"
)
"""24 to 64 bytes."""

TEXT: Final = r"^[^\x00]*$"
"""What Postgres keeps."""

_SEGMENT: Final = "[A-Za-z0-9_-][A-Za-z0-9._-]{0,60}"
PLACE: Final = rf"^((s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{{0,60}}|file:///{_SEGMENT})(/{_SEGMENT}){{0,8}}$"
"""The address of a prefix or an object, with eight segments at most; more, and other letters in them, are taken too."""
