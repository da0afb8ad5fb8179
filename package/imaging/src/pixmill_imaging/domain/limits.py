"""How much one job may cost, decided from headers before anything is decoded."""

from dataclasses import dataclass

from pixmill_imaging.domain.geometry import Size
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError


@dataclass(frozen=True)
class PixelLimits:
    """Both in pixels (width times height): of a source, and of any picture made on the way to an output."""

    source: int = 100_000_000
    output: int = 100_000_000

    def check_source(self, size: Size) -> None:
        if size.pixels > self.source:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"The source has {size.width}x{size.height} = {size.pixels} pixels; the limit is {self.source}.",
            )

    def check_output(self, name: str, size: Size) -> None:
        if size.pixels > self.output:
            raise PermanentError(
                ErrorCode.TOO_MANY_PIXELS,
                f"Output {name} would have {size.width}x{size.height} = {size.pixels} pixels; "
                f"the limit is {self.output}.",
            )
