"""What the machine under a benchmark was taken away for: figures of wall time mean little where that is much."""

from pathlib import Path


class Stolen:
    """The share of the processors' time that the host gave to others since this was made, in percent."""

    def __init__(self) -> None:
        self._before = self._read()

    def percent(self) -> float:
        stolen, whole = (now - before for now, before in zip(self._read(), self._before, strict=True))
        return 100 * stolen / max(whole, 1)

    def __str__(self) -> str:
        return f"{self.percent():.0f} % of the processors' time went to other machines of the host"

    @staticmethod
    def _read() -> tuple[int, int]:
        fields = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return fields[7], sum(fields)
