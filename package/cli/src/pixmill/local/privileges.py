"""Who the servers run as, and where that user can get at their binaries and data.

Postgres refuses to run as root, so root's servers run as ``nobody``. That user cannot enter a clone or a data
directory below a 0700 directory such as /root; then binaries are copied and data is put where it can.
No directory that exists has its mode changed for that.
"""

import os
import pwd
import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from pixmill.errors import StackError

#: Where root's servers live when ``nobody`` cannot reach the usual place.
FALLBACK = Path("/var/lib/pixmill")


@dataclass(frozen=True)
class ServerUser:
    """The user that servers run as."""

    name: str
    uid: int
    gid: int


def server_user() -> ServerUser | None:
    """``nobody`` for root; None for everybody else, whose servers run as themselves."""
    if os.getuid() != 0:
        return None
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:  # the ids that every system reserves for it
        return ServerUser("nobody", 65534, 65534)
    return ServerUser(entry.pw_name, entry.pw_uid, entry.pw_gid)


def run_as(user: ServerUser | None, argv: list[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command of a server as its user, with an environment that says nothing about ours."""
    return subprocess.run(
        argv,
        cwd="/",
        env=SERVER_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
        user=None if user is None else user.uid,
        group=None if user is None else user.gid,
        extra_groups=None if user is None else [],
    )


#: Servers get a locale that every system has and nothing else that could change how they behave.
SERVER_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def can_enter(user: ServerUser | None, directory: Path) -> bool:
    return user is None or run_as(user, ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(directory)]).returncode == 0


def runs(user: ServerUser | None, binary: Path) -> bool:
    """Can the user execute it, with every library that it needs?"""
    try:
        return run_as(user, [str(binary), "--version"]).returncode == 0
    except OSError:
        return False


def private_directory(path: Path, user: ServerUser | None) -> None:
    """Make ``path`` with mode 0700, owned by the servers' user."""
    path.mkdir(exist_ok=True, mode=0o700)
    path.chmod(0o700)
    if user is not None:
        os.chown(path, user.uid, user.gid)


def private_file(path: Path, content: str, user: ServerUser | None) -> None:
    """Write ``path`` anew with mode 0600, owned by the servers' user.

    Never through what is there: the directory is that user's, who could have put a link to a file of root's.
    """
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)
        if user is not None:
            os.fchown(file.fileno(), user.uid, user.gid)


def server_directory(data_dir: Path, user: ServerUser | None, remembered: str | None) -> Path:
    """Where the servers' data lives: in the data directory if their user can enter it, else below FALLBACK.

    ``remembered`` is the answer of an earlier run, which stands: the data is there.
    """
    if remembered is not None:
        if not Path(remembered).is_dir():
            raise StackError(f"The servers' data of {data_dir} was in {remembered}, which is gone.")
        return Path(remembered)
    if can_enter(user, data_dir):
        return data_dir
    place = _fallback() / f"data-{uuid.uuid4().hex[:12]}"
    place.mkdir(mode=0o711)
    place.chmod(0o711)
    return place


def reachable_binary(user: ServerUser | None, binary: Path, root: Path, trees: list[Path], version: str) -> Path:
    """``binary``, or its copy that ``user`` can run; ``trees``, below ``root`` as it is, are copied together.

    Raises StackError when even the copy does not run.
    """
    if runs(user, binary):
        return binary
    copies = _fallback() / "bin" / version
    copy = copies / binary.relative_to(root)
    if not runs(user, copy):
        draft = copies.with_name(f".{version}.{os.getpid()}")
        for tree in trees:
            shutil.copytree(tree, draft / tree.relative_to(root), symlinks=True)
        for directory in (draft, *(path for path in draft.rglob("*") if path.is_dir() or os.access(path, os.X_OK))):
            directory.chmod(0o755)
        shutil.rmtree(copies, ignore_errors=True)
        draft.replace(copies)
    if not runs(user, copy):
        raise StackError(f"Neither {binary} nor its copy {copy} can be run: {_why(user, copy)}")
    return copy


def _fallback() -> Path:
    try:
        for directory in (FALLBACK, FALLBACK / "bin"):
            directory.mkdir(exist_ok=True, parents=True)
            directory.chmod(0o755)
    except OSError as error:
        raise StackError(
            f"Servers of root run as nobody, who needs a place of its own, and {FALLBACK} cannot be made: "
            f"{error.strerror}. Run as a normal user, or name a --data-dir that nobody can enter."
        ) from None
    return FALLBACK


def _why(user: ServerUser | None, binary: Path) -> str:
    try:
        return run_as(user, [str(binary), "--version"]).stderr.strip()
    except OSError as error:
        return str(error)
