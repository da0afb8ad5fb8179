"""Which storage of the users' own jobs may read from and write to."""

from pydantic import Field, field_validator

from pixmill_shared.domain.places import InvalidPlace, Place
from pixmill_shared.settings.base import Settings


class DestinationSettings(Settings):
    """Read by the API, which refuses other destinations, and by who renders."""

    destinations: str = Field(
        default="",
        validation_alias="PIXMILL_DESTINATIONS",
        description="prefixes that jobs may copy outputs to, comma separated: s3://bucket/prefix, file:///dir, …; "
        "empty: none",
    )

    @field_validator("destinations")
    @classmethod
    def _readable(cls, value: str) -> str:
        return _checked(value)

    @property
    def prefixes(self) -> tuple[Place, ...]:
        return _prefixes(self.destinations)


class SourceSettings(Settings):
    """Read by the API, which refuses other sources, and by who fetches."""

    sources: str = Field(
        default="",
        validation_alias="PIXMILL_SOURCES",
        description="prefixes that jobs may read sources from by key, comma separated: s3://bucket/prefix, "
        "file:///dir, …; empty: none",
    )

    @field_validator("sources")
    @classmethod
    def _readable(cls, value: str) -> str:
        return _checked(value)

    @property
    def prefixes(self) -> tuple[Place, ...]:
        return _prefixes(self.sources)


def _prefixes(value: str) -> tuple[Place, ...]:
    return tuple(Place.parse(part.strip()) for part in value.split(",") if part.strip())


def _checked(value: str) -> str:
    try:
        places = _prefixes(value)
    except InvalidPlace as error:
        raise ValueError(f"each prefix {error}. Write s3://bucket/prefix or file:///directory, with commas.") from None
    for place in places:
        # The library that opens a prefix would decode it, or cut it there.
        if any(char.isspace() for char in str(place)):
            raise ValueError("a prefix may have no space in it.")
    return value
