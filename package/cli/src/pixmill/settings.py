"""The environment of the `pixmill` command: the one place of this package that reads it."""

import os
import pwd
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path


def process_environment() -> dict[str, str]:
    """A copy of this process's environment."""
    return dict(os.environ)


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """Where the local stack keeps its data unless told: ``$XDG_DATA_HOME/pixmill`` or ``~/.local/share/pixmill``.

    Works without ``HOME`` (the user database is asked), and where there is no home at all: then it is a
    directory of this user's in the system's temporary one that survives a reboot, if there is such a one.
    """
    data_home = environ.get("XDG_DATA_HOME", "")
    if data_home.startswith("/"):
        return Path(data_home) / "pixmill"
    home = environ.get("HOME", "") or _home_of_user()
    if home.startswith("/") and Path(home).is_dir():
        return Path(home) / ".local" / "share" / "pixmill"
    lasting = Path("/var/tmp")  # noqa: S108 - opened only when it belongs to this user, see datadir.py
    base = lasting if lasting.is_dir() else Path(tempfile.gettempdir())
    return base / f"pixmill-{os.getuid()}"


def base_port(environ: Mapping[str, str]) -> int | None:
    """``PIXMILL_PORT``, which for the whole stack means the API's port; None where it is unset or no number."""
    value = environ.get("PIXMILL_PORT", "")
    return int(value) if value.isdigit() else None


def user_name() -> str:
    """Whose process this is, or the number of a user id without a name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def actor() -> str:
    """Who runs the command on which machine, for the audit."""
    return f"cli {user_name()}@{socket.gethostname()}"


def _home_of_user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a user id without a name, as containers have
        return ""
