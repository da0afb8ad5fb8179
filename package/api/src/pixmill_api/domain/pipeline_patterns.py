"""Regular expressions of pipelines for the OpenAPI document: whatever matches is taken."""

from typing import Final

_MINUTE: Final = r"\*|\*/([2-9]|[1-5][0-9])|[0-9]|[1-5][0-9]"
_HOUR: Final = r"\*|\*/([2-9]|1[0-9]|2[0-3])|[0-9]|1[0-9]|2[0-3]"
CRON: Final = rf"^({_MINUTE}) ({_HOUR}) (\*|[1-9]|1[0-9]|2[0-8]) (\*|[1-9]|1[0-2]) (\*|[0-6]|[0-3]-[4-6])$"
"""Lists, ranges, names of days and months, ``L`` and ``#`` are taken too."""

ZONE: Final = r"^(UTC|Europe/(Berlin|London|Madrid)|America/(New_York|Los_Angeles|Sao_Paulo)|Asia/(Tokyo|Kolkata))$"
"""The others of the IANA database are taken too."""

POINTER: Final = r"^(/([^/~\x00]|~[01])*)*$"
"""RFC 6901."""
