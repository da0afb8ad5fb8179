"""The data directory of a stack: made, checked, locked, and what it remembers."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pixmill.errors import DataDirError
from pixmill.local.credentials import write_private

_LOCK = "up.lock"
_STATE = "state.json"
_ENVIRONMENT = "environment.json"


class DataDir:
    """``path`` is absolute. Nothing is touched before `prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def objects(self) -> Path:
        return self.path / "objects"

    @property
    def run(self) -> Path:
        """The working directory of the processes: what they drop does not land in the user's directory."""
        return self.path / "run"

    def prepare(self, mode: int = 0o700) -> None:
        """Make what is missing, with ``mode`` for the directory itself; one that is there keeps its own.

        Raises DataDirError where that is impossible or the place is not ours.
        """
        try:
            if not self.path.is_dir():
                self.path.mkdir(parents=True, mode=0o700)
                self.path.chmod(mode)  # whatever the umask says
            _refuse_foreign(self.path)
            for directory in (self.objects, self.run):
                directory.mkdir(exist_ok=True, mode=0o700)
            (self.path / _LOCK).touch(mode=0o600)
        except OSError as error:
            raise DataDirError(
                f"Cannot write to the data directory {self.path}: {error.strerror}. "
                "Name one that this user may write to with --data-dir."
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process; raises DataDirError when another stack runs on it."""
        with (self.path / _LOCK).open("r+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = lock.read().strip() or "unknown"
                raise DataDirError(
                    f"A stack runs on {self.path} already (process {owner}). Stop it, or start a second one "
                    "side by side with another --data-dir and --port."
                ) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            try:
                yield
            finally:
                lock.truncate(0)

    def is_running(self) -> bool:
        """Does a process hold this directory?"""
        try:
            with (self.path / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def read_state(self) -> dict[str, Any]:
        """What the last run chose: ports, places; empty at first. Raises DataDirError when the file is damaged."""
        return _read_object(self.path / _STATE)

    def write_state(self, state: dict[str, Any]) -> None:
        write_private(self.path / _STATE, json.dumps(state, indent=2))

    def read_environment(self) -> dict[str, str]:
        """Variables for another shell, of the running stack or the last one; empty when there was none."""
        return {name: str(value) for name, value in _read_object(self.path / _ENVIRONMENT).items()}

    def write_environment(self, variables: dict[str, str]) -> None:
        write_private(self.path / _ENVIRONMENT, json.dumps(variables, indent=2))


def _refuse_foreign(path: Path) -> None:
    # In a shared place such as /var/tmp anybody can make the directory first, and then reads what is in it.
    owner = path.stat().st_uid
    if owner != os.getuid() and os.getuid() != 0:
        raise DataDirError(
            f"The data directory {path} belongs to another user (id {owner}); name another with --data-dir."
        )


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DataDirError(f"Cannot read {path}: {error.strerror}.") from None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise DataDirError(f"{path} is damaged: bring it back from a copy, or start with an empty --data-dir.")
    return content
