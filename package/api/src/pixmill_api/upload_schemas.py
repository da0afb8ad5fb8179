"""Uploads that come in parts or past the API: bodies of requests, and answers as the OpenAPI document shows them."""

import datetime
import re
import uuid
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from pixmill_api.domain.media_types import UNKNOWN, upload_type

MOST_IN_ONE_PUT: Final = 5 * 1024**3
"""Bytes: buckets take no more in one request, and copy no more."""
_MEDIA_TYPE: Final = r"^(image/[a-z0-9][a-z0-9.+-]{0,63}|application/octet-stream)$"


def _media_type(text: str) -> str:
    found = upload_type(text)
    if found is None or not re.fullmatch(_MEDIA_TYPE, text):
        raise PydanticCustomError("media_type", "must be image/… or {unknown}", {"unknown": UNKNOWN})
    return found


class PresignRequest(BaseModel):
    """What will be uploaded. What is given here is checked on completion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    media_type: Annotated[
        str,
        Field(json_schema_extra={"pattern": _MEDIA_TYPE}, examples=["image/jpeg"]),
        AfterValidator(_media_type),
    ]
    bytes: Annotated[
        int | None,
        Field(default=None, ge=0, le=MOST_IN_ONE_PUT, description="exactly so many; at most PIXMILL_MAX_SOURCE_BYTES"),
    ]
    sha256: Annotated[
        str | None, Field(default=None, pattern=r"^[0-9a-f]{64}$", description="in hex, of exactly these bytes")
    ]


class PresignedUpload(BaseModel):
    """Send the bytes with `method` to `url`, with exactly these `headers`; then complete the upload."""

    upload_id: uuid.UUID
    url: str = Field(description="signed: who has it can write there until `expires_at`. Keep it to yourself")
    method: Literal["PUT"]
    headers: dict[str, str]
    expires_at: datetime.datetime
    max_bytes: int
    urls: dict[str, str] = Field(description="`complete`: POST there when the bytes are sent")
