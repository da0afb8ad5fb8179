"""Lists are read page by page, newest first: ``limit`` rows before those that the client has seen."""

import uuid
from typing import Annotated

from fastapi import Query
from pydantic import Field

from pixmill_api.domain.ids import CURSOR_PATTERN, parse_cursor
from pixmill_api.errors import InvalidRequest
from pixmill_api.parameters import WHOLE
from pixmill_shared.domain.json_reader import JsonError

Limit = Annotated[int, Field(ge=1, le=200), WHOLE, Query()]
Cursor = Annotated[str | None, Query(pattern=CURSOR_PATTERN, description="next_cursor of the page before")]


def before(cursor: str | None) -> uuid.UUID | None:
    """The id that the page comes before; None: the first page. Raises InvalidRequest."""
    found = parse_cursor(cursor) if cursor is not None else None
    if cursor is not None and found is None:
        raise InvalidRequest([JsonError("/query/cursor", "is not a cursor of ours")])
    return found
