"""Processes by their ids."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """False also of one that has ended and that nobody has asked how: an orphan's is a matter of process 1."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
