"""Outputs as clients see them: in answers of the API and in webhooks."""

import datetime
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row

from pixmill_shared.database.models import Output, Rendition
from pixmill_shared.domain.moments import utc
from pixmill_shared.storage import ObjectStore


def describe_outputs(
    rows: Iterable[Row[Output, Rendition] | tuple[Output, Rendition]], store: ObjectStore, expires_at: datetime.datetime
) -> list[dict[str, Any]]:
    """One document an output, each with a URL that a browser can open until ``expires_at``."""
    return [_describe(row[0], row[1], store, expires_at) for row in rows]


def filename(output: Output, rendition: Rendition) -> str:
    """What a browser saves the output as. Outputs of jobs that generate are called so already."""
    if "." in output.name:
        return output.name
    return f"{output.name}.{rendition.storage_key.rpartition('.')[2]}"


def _describe(
    output: Output, rendition: Rendition, store: ObjectStore, expires_at: datetime.datetime
) -> dict[str, Any]:
    name = filename(output, rendition)
    return {
        "name": output.name,
        "url": store.signed_url(rendition.storage_key, expires_at, rendition.media_type, name),
        "expires_at": utc(expires_at),
        "width": rendition.width,
        "height": rendition.height,
        "format": rendition.format,
        "bytes": rendition.bytes,
        "sha256": rendition.sha256,
        "frames": rendition.frames,
        "thumbhash": rendition.thumbhash,
        "dominant_color": rendition.dominant_color,
        "cached": output.cached,
        "storage_key": output.storage_key,
    }
