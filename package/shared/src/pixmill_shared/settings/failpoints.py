"""Where tests arm failpoints."""

from pydantic import Field, field_validator

from pixmill_shared.settings.base import Settings, is_production


class FailpointSettings(Settings):
    """For tests only: who can write to the directory can kill the process."""

    directory: str = Field(
        default="",
        validation_alias="PIXMILL_FAILPOINTS",
        description="for tests only: directory in which failpoints are armed; refused in production",
    )

    @field_validator("directory")
    @classmethod
    def _not_in_production(cls, value: str) -> str:
        if value and is_production():
            raise ValueError("is for tests only, and PIXMILL_ENV is production. Take it away.")
        return value
