"""The test's side of failpoints: arm them, and see where they struck."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Strike:
    """``key`` is a job's id or a table's name; ``at`` in seconds since the epoch; ``file`` goes to release a pause."""

    name: str
    key: str
    action: str
    pid: int
    parent: int
    at: float
    file: Path


class Armed:
    """A directory of failpoints."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(exist_ok=True)

    def arm(self, name: str, action: str, key: str = "", **order: Any) -> None:
        """``order`` as in pixmill_shared.failpoints: count, keep, seconds, megabytes."""
        file = self.directory / (f"{name}@{key}" if key else name)
        draft = file.with_name(f".draft.{file.name}")
        draft.write_text(json.dumps({"action": action, **order}))
        draft.rename(file)

    def strikes(self) -> list[Strike]:
        """All that are not released, oldest first."""
        found = []
        for file in (self.directory / "struck").glob("*"):
            # Released by another thread since it was listed.
            with contextlib.suppress(FileNotFoundError):
                found.append(Strike(**json.loads(file.read_text()), file=file))
        return sorted(found, key=lambda strike: strike.at)

    def clear_orders(self) -> None:
        """Nothing is armed."""
        for file in self.directory.glob("*.*"):
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Nothing is armed, nobody waits, no strike is remembered."""
        self.clear_orders()
        for file in (self.directory / "struck").glob("*"):
            file.unlink(missing_ok=True)
