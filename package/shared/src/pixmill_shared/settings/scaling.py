"""How many processes a worker may have that sizes itself."""

from typing import Self

from pydantic import Field, model_validator

from pixmill_shared.domain.scaling import Limits
from pixmill_shared.settings.base import Settings


class ScalingSettings(Settings):
    """Of prefork workers that were started with ``--autoscale``; threads are fixed."""

    autoscale: bool = Field(
        default=False,
        validation_alias="PIXMILL_AUTOSCALE",
        description="true: the imaging worker has MIN_WORKERS to MAX_WORKERS processes, as much as waits",
    )
    least: int = Field(default=2, ge=1, validation_alias="MIN_WORKERS", description="processes at least")
    most: int = Field(default=10, ge=1, le=1_000, validation_alias="MAX_WORKERS", description="processes at most")
    cpu_threshold: float = Field(
        default=80,
        gt=0,
        le=100,
        validation_alias="CPU_THRESHOLD",
        description="percent of the CPU from which no process is added, but in an emergency",
    )
    memory_threshold: float = Field(
        default=85,
        gt=0,
        le=100,
        validation_alias="MEMORY_THRESHOLD",
        description="percent of the memory from which no process is added",
    )
    queue_threshold: int = Field(
        default=100,
        ge=1,
        validation_alias="QUEUE_THRESHOLD",
        description="jobs that wait from which a process is added; twice as many are an emergency",
    )
    oldest: float = Field(
        default=60,
        gt=0,
        validation_alias="PIXMILL_SCALE_OLDEST",
        description="seconds that a job has waited from which a process is added, however few wait",
    )
    cool_down: float = Field(
        default=60,
        ge=1,
        validation_alias="PIXMILL_SCALE_COOL_DOWN",
        description="seconds of calm after which a process is taken away",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(
                f"MIN_WORKERS={self.least} is above MAX_WORKERS={self.most}; set it to {self.most} or less"
            )
        return self

    @property
    def limits(self) -> Limits:
        return Limits(
            least=self.least,
            most=self.most,
            cpu_threshold=self.cpu_threshold,
            memory_threshold=self.memory_threshold,
            queue_threshold=self.queue_threshold,
            oldest=self.oldest,
            cool_down=self.cool_down,
        )
