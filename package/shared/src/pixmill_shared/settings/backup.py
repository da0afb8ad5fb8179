"""How the database is backed up, and what Postgres' own programs are started with."""

import os
from datetime import timedelta

from pydantic import Field

from pixmill_shared.settings.base import Settings


class BackupSettings(Settings):
    """Read by the process that backs up, and by the command that restores."""

    pg_dump: str = Field(
        default="",
        validation_alias="PIXMILL_PG_DUMP",
        description="path of a pg_dump of the server's major version, with pg_restore beside it; default: look for one",
    )
    days: float = Field(
        default=14,
        ge=0,
        le=36_500,
        validation_alias="PIXMILL_KEEP_BACKUPS",
        description="days that a backup is kept, the last three always; 0: for ever",
    )

    @property
    def kept(self) -> timedelta | None:
        """None: for ever."""
        return timedelta(days=self.days) if self.days else None


def tool_environment(password: str) -> dict[str, str]:
    """The environment of ``pg_dump`` and ``pg_restore``: what libpq reads in this process too, and the password, which
    is nobody's to read there but this user's."""
    passed = {name: value for name, value in os.environ.items() if name.startswith("PG") or name in _PASSED}
    return {"PGCONNECT_TIMEOUT": "10", **passed, "LC_ALL": "C", **({"PGPASSWORD": password} if password else {})}


_PASSED = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR")
