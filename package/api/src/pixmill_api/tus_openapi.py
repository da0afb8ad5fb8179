"""What the OpenAPI document says of tus: headers that requests take, and those that answers have."""

from typing import Any, Final

from pixmill_api.domain.tus import ALGORITHMS, CHECKSUM, EXTENSIONS, MAX_METADATA, METADATA, VERSION
from pixmill_api.openapi import BINARY, KEYED, Extra, Responses

_BYTES: Final = {"type": "string", "pattern": "^[0-9]{1,18}$", "examples": ["0"]}
_TEXT: Final = {"type": "string"}
_VERSION: Final = {"type": "string", "enum": [VERSION]}


def _header(name: str, schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": schema, "description": description}


_RESUMABLE: Final = _header("Tus-Resumable", _VERSION, "the version of tus", required=True)
_CHECKSUM: Final = _header(
    "Upload-Checksum",
    {
        "type": "string",
        "format": "tus-checksum",
        "pattern": f"^({CHECKSUM})$",
        "examples": ["sha1 2jmj7l5rSw0yVb/vlWAYkK/YBwk="],
    },
    "of the body: an algorithm and the digest in base64. With it all of the body counts or nothing",
)
_EXPIRES: Final = {"schema": _TEXT, "description": "when an unfinished upload goes, as an HTTP date"}


def _answer(status: int, description: str, **headers: dict[str, Any]) -> Responses:
    named = {name.replace("_", "-"): header for name, header in headers.items()}
    return {status: {"description": description, "headers": named}}


_OFFSET: Final = {"schema": _BYTES, "description": "bytes that are safe; the next one to send"}
_LENGTH: Final = {"schema": _BYTES, "description": "bytes that the whole has"}

CREATED: Final = _answer(
    201,
    "Send the bytes there. The last part of `Location` is the `upload_id`",
    Location={"schema": _TEXT, "description": "the upload"},
    Upload_Offset=_OFFSET,
    Upload_Expires=_EXPIRES,
)
LOOKED: Final = _answer(
    200,
    "How far it is",
    Upload_Offset=_OFFSET,
    Upload_Length=_LENGTH,
    Upload_Expires=_EXPIRES,
    Upload_Metadata={"schema": _TEXT, "description": "as it was given when the upload was begun"},
    Cache_Control={"schema": {"type": "string", "enum": ["no-store"]}},
)
WRITTEN: Final = _answer(204, "The bytes are safe", Upload_Offset=_OFFSET, Upload_Expires=_EXPIRES)
DELETED: Final = _answer(204, "It is gone")
SPOKEN: Final = _answer(
    204,
    "What is spoken here",
    Tus_Version={"schema": _TEXT},
    Tus_Max_Size={"schema": _BYTES, "description": "bytes that an upload may have"},
    Tus_Extension={"schema": _TEXT, "description": ", ".join(EXTENSIONS)},
    Tus_Checksum_Algorithm={"schema": _TEXT, "description": ", ".join(ALGORITHMS)},
)


def _with_parameters(*parameters: dict[str, Any], required: bool | None = None) -> Extra:
    extra: Extra = {"parameters": list(parameters)}
    if required is not None:
        content = {"application/offset+octet-stream": {"schema": BINARY}}
        extra["requestBody"] = {"required": required, "content": content}
    return extra


CREATES: Final = _with_parameters(
    _RESUMABLE,
    _header("Upload-Length", _BYTES, "bytes that the whole has, at most Tus-Max-Size", required=True),
    _header(
        "Upload-Metadata",
        {"type": "string", "pattern": f"^{METADATA}$"},
        f"at most {MAX_METADATA} characters: keys with values in base64; `filetype` is the media type, image/… or "
        "application/octet-stream",
    ),
    _CHECKSUM,
    *KEYED["parameters"],
    required=False,
)
LOOKS: Final = _with_parameters(_RESUMABLE)
WRITES: Final = _with_parameters(
    _RESUMABLE,
    _header("Upload-Offset", _BYTES, "where the bytes belong: after those that are safe", required=True),
    _CHECKSUM,
    required=True,
)
