"""What is kept, and how long."""

from datetime import timedelta

from pydantic import Field

from pixmill_shared.settings.base import Settings


class MaintenanceSettings(Settings):
    """Read by the process that cleans up."""

    sweep_after: int = Field(
        default=86_400,
        ge=7_200,
        validation_alias="PIXMILL_SWEEP_AFTER",
        description="seconds after which an object that no row names is deleted",
    )
    upload_ttl: int = Field(
        default=86_400,
        ge=60,
        validation_alias="PIXMILL_UPLOAD_TTL",
        description="seconds after which an upload that no job uses is deleted",
    )

    @property
    def objects_after(self) -> timedelta:
        return timedelta(seconds=self.sweep_after)

    @property
    def uploads_after(self) -> timedelta:
        return timedelta(seconds=self.upload_ttl)
