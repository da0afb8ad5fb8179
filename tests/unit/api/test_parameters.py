"""Parameters of queries, read to the letter."""

import datetime
import uuid
from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from pixmill_api.domain.moments import parse_moment
from pixmill_api.parameters import WHOLE, Flag, Id, Time

Whole = Annotated[int, Field(ge=-9, le=9), WHOLE]
ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Whole, "7", 7),
        (Whole, "-7", -7),
        (Flag, "true", True),
        (Flag, "false", False),
        (Id, ID, uuid.UUID(ID)),
        (Id, ID.upper(), uuid.UUID(ID)),
        (Time, "2030-01-31T08:00:00+01:00", datetime.datetime(2030, 1, 31, 7, tzinfo=datetime.UTC)),
    ],
)
def test_what_is_written_as_documented_is_taken(kind: object, text: str, value: object) -> None:
    assert TypeAdapter(kind).validate_python(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Whole, text) for text in ("", "1.0", " 5", "+5", "1_0", "1e3", "0x1", "\u0661", "null", "9" * 5000)),
        *((Flag, text) for text in ("", "1", "on", "True", "yes", "null")),
        *((Id, text) for text in ("", "{" + ID + "}", "urn:uuid:" + ID, ID.replace("-", ""), "null")),
        *((Time, text) for text in ("", "0", "1893456000", "2030-01-31", "2030-01-31T08:00:00", "null")),
    ],
)
def test_what_is_written_otherwise_is_not(kind: object, text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(text)


def test_offset_that_leads_beyond_the_calendar_means_its_end() -> None:
    assert parse_moment("9999-12-31T23:59:59-23:59") == datetime.datetime.max.replace(tzinfo=datetime.UTC)
    assert parse_moment("0001-01-01T00:00:00+23:59") == datetime.datetime.min.replace(tzinfo=datetime.UTC)


def test_bounds_of_an_integer_are_in_its_schema() -> None:
    assert TypeAdapter(Whole).json_schema() == {"type": "integer", "minimum": -9, "maximum": 9}
