"""The names of pixmill's own objects, each unique to what it is written for: none is ever written a second time, but
what clients write past the API, which nothing reads but the copy that is checked."""

import re
import uuid
from typing import Final

#: In which directories they are: few enough to list one by one, and each a part of what there is.
PREFIXES: Final = (
    "sources",
    "uploads",
    "parts",
    "incoming",
    "probes",
    "archives",
    *(f"renditions/{part:02x}" for part in range(256)),
)

_ID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SOURCE: Final = re.compile(rf"sources/{_ID}/\d+")
_UPLOAD: Final = re.compile(rf"uploads/({_ID})(?:\.{_ID})?")
_PART: Final = re.compile(rf"parts/({_ID})/{_ID}")
_INCOMING: Final = re.compile(rf"incoming/({_ID})")
_ARCHIVE: Final = re.compile(rf"archives/({_ID})/{_ID}\.zip")
_PROBE: Final = re.compile(rf"probes/{_ID}")
_RENDITION: Final = re.compile(rf"renditions/([0-9a-f]{{2}})/(\1[0-9a-f]*)/{_ID}\.\w+")


def source_name(job_id: uuid.UUID, fence: int) -> str:
    """Of a copied source; the fence makes it unique to a claim: two at once cannot write the same object."""
    return f"sources/{job_id}/{fence}"


def upload_name(upload_id: uuid.UUID) -> str:
    return f"uploads/{upload_id}"


def assembled_name(upload_id: uuid.UUID, attempt: uuid.UUID) -> str:
    """Of an upload that came over a session; two attempts to complete it cannot write the same object."""
    return f"uploads/{upload_id}.{attempt}"


def part_name(upload_id: uuid.UUID, part_id: uuid.UUID) -> str:
    """Of some bytes of a resumable upload."""
    return f"parts/{upload_id}/{part_id}"


def incoming_name(upload_id: uuid.UUID) -> str:
    """Where a client writes past the API, perhaps again after its upload is complete."""
    return f"incoming/{upload_id}"


def rendition_name(key: str, rendition_id: uuid.UUID, extension: str) -> str:
    """It ends in an id of its own, so that a late delete can only ever hit this very object."""
    return f"renditions/{key[:2]}/{key}/{rendition_id}.{extension}"


def archive_name(task_id: uuid.UUID, archive_id: uuid.UUID) -> str:
    """Of what a task built; one that runs again builds another one."""
    return f"archives/{task_id}/{archive_id}.zip"


def probe_name(probe_id: uuid.UUID) -> str:
    """Of an object that is written to see whether, and when; no row ever names one."""
    return f"probes/{probe_id}"


def is_source(name: str) -> bool:
    return _SOURCE.fullmatch(name) is not None


def is_probe(name: str) -> bool:
    return _PROBE.fullmatch(name) is not None


def builder_of(name: str) -> uuid.UUID | None:
    """The id of the task in the name of an archive."""
    found = _ARCHIVE.fullmatch(name)
    return uuid.UUID(found[1]) if found else None


def upload_of(name: str) -> uuid.UUID | None:
    """The id in the name of an upload."""
    found = _UPLOAD.fullmatch(name)
    return uuid.UUID(found[1]) if found else None


def session_of(name: str) -> uuid.UUID | None:
    """The id in the name of an object that an upload session may need: a part, incoming bytes, or the whole."""
    found = _PART.fullmatch(name) or _INCOMING.fullmatch(name) or _UPLOAD.fullmatch(name)
    return uuid.UUID(found[1]) if found else None


def rendition_key_of(name: str) -> str | None:
    """The content address in the name of a rendition."""
    found = _RENDITION.fullmatch(name)
    return found[2] if found else None
