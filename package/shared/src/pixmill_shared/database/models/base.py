"""What all tables share."""

import datetime
from typing import Any, ClassVar, Final

from sqlalchemy import DateTime, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase

NOW: Final = text("now()")
ZERO: Final = text("0")


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {
        str: Text(),
        datetime.datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        bytes: LargeBinary(),
    }
