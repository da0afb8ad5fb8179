"""Builds an image's file system without Docker: executes COPY and RUN in directories that stand for the stages.

Absolute paths of the image are rewritten to lie below the stage's directory. The base image's Python is a fresh
virtual environment; commands that would change this machine (useradd) are replaced by ones that only write down
that they were called. What is not executed: the base images themselves, and the user change.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.integration.containers.dockerfile import Instruction, Stage, read_dockerfile

ROOT = Path(__file__).resolve().parents[3]

#: Directories that the Dockerfiles write to, or read from a base image.
_PATHS = re.compile(r"(?<![\w./$-])/(opt|wheels|src|data|client|usr/local/bin|usr/lib/postgresql)(?=[/\s\"';*]|$)")
_SHIMS = {
    "groupadd": 'echo "groupadd $*" >> "$SHIM_LOG"',
    "useradd": 'echo "useradd $*" >> "$SHIM_LOG"',
    "install": 'echo "install $*" >> "$SHIM_LOG"; for last; do :; done; mkdir -p "$last"',
}


@dataclass(frozen=True)
class Image:
    """A built image: its last stage, and the directory that stands for its file system."""

    stage: Stage
    root: Path
    log: str

    @property
    def python(self) -> Path:
        return self.root / "opt/pixmill/bin/python"

    def environment(self) -> dict[str, str]:
        """What a container of it starts with."""
        path = f"{self.root}/opt/pixmill/bin:{self.root}/usr/local/bin:/usr/bin:/bin"
        return {**self.stage.environment, "PATH": path}

    def run(self, *command: str, merge: bool = False) -> str:
        """Output of a command in the image's environment, with its errors if ``merge``; raises if it fails."""
        done = subprocess.run(
            command, env=self.environment(), cwd=self.root / "opt/pixmill", capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + (done.stderr if merge else "")


class Builder:
    """Builds the images of one test session. The tools of the build stage are installed once: all have the same."""

    def __init__(self, directory: Path, postgres_bin: Path) -> None:
        self._directory = directory
        self._postgres_bin = postgres_bin
        self._base = directory / "base-python"
        self._done: set[str] = set()
        self._built: dict[str, Image | AssertionError] = {}

    def image(self, dockerfile: str) -> Image:
        if dockerfile not in self._built:
            try:
                self._built[dockerfile] = self._build(dockerfile)
            except AssertionError as error:
                self._built[dockerfile] = error
        built = self._built[dockerfile]
        if isinstance(built, AssertionError):
            raise built
        return built

    def tool(self, name: str) -> str:
        """The path of a tool of the build stage."""
        return str(self._base / "bin" / name)

    def _build(self, dockerfile: str) -> Image:
        stages = read_dockerfile(ROOT / dockerfile)
        home = self._directory / dockerfile.replace("/", "-")
        for stage in stages:
            (home / stage.name).mkdir(parents=True, exist_ok=True)
            self._prepare_base(stage, home / stage.name)
            workdir = home / stage.name
            for instruction in stage.instructions:
                if instruction.keyword == "WORKDIR":
                    workdir = home / stage.name / instruction.value.lstrip("/")
                    workdir.mkdir(parents=True, exist_ok=True)
                self._execute(instruction, stage, home, workdir)
        log = home / "shims.log"
        return Image(stages[-1], home / stages[-1].name, log.read_text() if log.exists() else "")

    def _prepare_base(self, stage: Stage, root: Path) -> None:
        if stage.base.startswith("postgres:"):
            target = root / "usr/lib/postgresql/18/bin"
            target.parent.mkdir(parents=True)
            target.symlink_to(self._postgres_bin)
        elif not self._base.exists():
            subprocess.run([sys.executable, "-m", "venv", self._base], check=True)
            shims = self._directory / "shims"
            shims.mkdir()
            for name, body in _SHIMS.items():
                (shims / name).write_text(f"#!/bin/sh\n{body}\n")
                (shims / name).chmod(0o755)

    def _execute(self, instruction: Instruction, stage: Stage, home: Path, workdir: Path) -> None:
        if instruction.keyword == "COPY" and "from" in instruction.flags:
            _link_from_stage(instruction, home, home / stage.name)
        elif instruction.keyword == "COPY":
            *sources, target = instruction.value.split()
            for source in sources:
                _copy_from_context(ROOT / source, workdir / target, directory=target.endswith("/"))
        elif instruction.keyword == "RUN":
            self._run(instruction, stage, home, workdir)

    def _run(self, instruction: Instruction, stage: Stage, home: Path, workdir: Path) -> None:
        if "build.lock" in instruction.value and instruction.value in self._done:
            return
        root = home / stage.name
        (root / "usr/local/bin").mkdir(parents=True, exist_ok=True)
        shell = stage.all("SHELL")[-1].words() if stage.all("SHELL") else ["/bin/sh", "-c"]
        command = _PATHS.sub(lambda match: f"{root}/{match[1]}", instruction.value)
        environment = self._build_environment(stage, home)
        done = subprocess.run(
            [*shell, command], cwd=workdir, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"RUN {instruction.value}\n{done.stdout}{done.stderr}"
        self._done.add(instruction.value)
        _bring_bytecode(root / "opt/pixmill")

    def _build_environment(self, stage: Stage, home: Path) -> dict[str, str]:
        root = home / stage.name
        # Compiling and copying make an image start faster and a test slower; see _bring_bytecode.
        given = {**stage.environment, "UV_COMPILE_BYTECODE": "0", "UV_LINK_MODE": "hardlink"}
        given["UV_PYTHON"] = os.path.realpath(sys.executable)
        path = f"{self._directory}/shims:{root}/usr/local/bin:{self._base}/bin:/usr/bin:/bin"
        ours = ("HOME", "PIP_", "UV_", "SSL_", "REQUESTS_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
        machine = {name: value for name, value in os.environ.items() if name.upper().startswith(ours)}
        return {**machine, **given, "PATH": path, "SHIM_LOG": str(home / "shims.log")}


def _bring_bytecode(environment: Path) -> None:
    """Of this Python's libraries, for those that are the same: eight processes that start at once would each compile
    them, five seconds of processor every time.
    """
    ours = Path(sysconfig.get_path("purelib"))
    theirs = environment / ours.relative_to(sys.prefix)
    for bytecode in ours.rglob("__pycache__/*.pyc") if theirs.exists() else ():
        source = (bytecode.parents[1] / bytecode.name.split(".", 1)[0]).with_suffix(".py").relative_to(ours)
        target = theirs / bytecode.relative_to(ours)
        # Python takes bytecode for that of a file of this size and time of change.
        if _size_and_time(ours / source) == _size_and_time(theirs / source) is not None and not target.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copy(bytecode, target)


def _size_and_time(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _link_from_stage(instruction: Instruction, home: Path, root: Path) -> None:
    """A virtual environment holds its own path, so it is linked and not copied."""
    source, target = instruction.value.split()
    destination = root / target.lstrip("/")
    destination.parent.mkdir(parents=True, exist_ok=True)
    destination.symlink_to(home / instruction.flags["from"] / source.lstrip("/"))


def _copy_from_context(source: Path, target: Path, *, directory: bool) -> None:
    assert source.exists(), f"COPY {source}: there is no such file in the build context"
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        return
    if directory:
        target.mkdir(parents=True, exist_ok=True)
        target = target / source.name
    shutil.copy(source, target)
