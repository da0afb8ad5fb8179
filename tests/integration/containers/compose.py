"""Reads docker-compose.yml as ``docker compose`` would, and runs its commands as processes of this machine."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.integration.containers.build import ROOT, Image

_REFERENCE = re.compile(r"\$\$|\$\{(\w+)(?:(:[-?])((?:[^{}]|\$\{[^{}]*\})*))?\}")


class MissingVariableError(Exception):
    """``docker compose`` would stop with this message."""


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """``${NAME}``, ``${NAME:-default}``, ``${NAME:?message}`` and ``$$``, as the compose specification has them."""

    def _replace(match: re.Match[str]) -> str:
        name, operator, rest = match[1], match[2], match[3]
        if name is None:
            return "$"
        if variables.get(name):
            return variables[name]
        if operator == ":?":
            raise MissingVariableError(rest)
        return interpolate(rest or "", variables)

    return _REFERENCE.sub(_replace, text)


@dataclass
class Service:
    """One service, its text interpolated."""

    name: str
    document: dict[str, Any]
    environment: dict[str, str]

    @property
    def dockerfile(self) -> str:
        return str(self.document["build"]["dockerfile"])

    @property
    def command(self) -> list[str] | None:
        return self.document.get("command")

    @property
    def grace(self) -> float:
        """Seconds between SIGTERM and SIGKILL."""
        return float(str(self.document["stop_grace_period"]).removesuffix("s"))


def services(variables: Mapping[str, str]) -> dict[str, Service]:
    """All services, with the variables of a .env file."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return {name: _service(name, entry, variables) for name, entry in document["services"].items()}


def _service(name: str, entry: dict[str, Any], variables: Mapping[str, str]) -> Service:
    filled = _filled(entry, variables)
    environment = {
        key: str(variables[key] if value is None else value)
        for key, value in filled.get("environment", {}).items()
        if value is not None or key in variables
    }
    return Service(name, filled, environment)


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, variables) for item in value]
    return interpolate(value, variables) if isinstance(value, str) else value


@dataclass
class Container:
    """A service's process. ``overrides`` are what differs because there is no container network."""

    service: Service
    image: Image
    overrides: Mapping[str, str]
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {**self.image.environment(), **self.service.environment, **self.overrides}

    def start(self) -> None:
        command = self.service.command or self.image.stage.one("CMD").words()
        directory = self.image.root / "opt/pixmill"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=directory, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def healthy(self) -> bool:
        try:
            check = subprocess.run(
                self.image.stage.healthcheck, env=self.environment, capture_output=True, check=False, timeout=30
            )
        except subprocess.TimeoutExpired:
            return False
        return check.returncode == 0

    def wait_until_healthy(self, seconds: float) -> None:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while not self.healthy():
            ended = self.process.poll()
            assert ended is None, f"{self.service.name} ended with {ended}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"{self.service.name} is not healthy:\n{self.tail()}"
            time.sleep(0.1)

    def stop(self) -> int:
        """SIGTERM as ``docker stop`` sends it, to the first process only; the exit code. Raises TimeoutExpired."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(self.service.grace)

    def kill(self) -> None:
        """Whatever is left of its process group."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return
            self.process.wait(60)

    def left_over(self) -> bool:
        """Is a process of its group still there?"""
        assert self.process is not None
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]
