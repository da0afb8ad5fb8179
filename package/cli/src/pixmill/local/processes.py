"""The table of what runs: which process, with which arguments, on which port, ready when."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings

from pixmill.errors import StackError
from pixmill.local.child import ProcessSpec
from pixmill.local.ports import PortPlan
from pixmill.local.probes import http_ready, probe_host
from pixmill_shared.contract.queues import WORKER_QUEUES
from pixmill_shared.settings.flower import FlowerSettings
from pixmill_shared.settings.scaling import ScalingSettings
from pixmill_shared.settings.work import ConcurrencySettings, ShutdownSettings

#: Seconds that a worker needs beyond its shutdown time-out, so that it hands its work back before it is killed.
_WORKER_GRACE = 10.0
#: Leaves out the banner, twenty lines of what `up` prints in one table.
_QUIET = {"CELERY_QUIET": "1"}
_SHARED_APP = "pixmill_shared.celery_app"
_S = TypeVar("_S", bound=BaseSettings)


@dataclass(frozen=True)
class Worker:
    """One Celery worker; its queues are the contract's."""

    name: str
    app: str
    pool: str


WORKERS = (
    Worker("imaging", "pixmill_imaging.celery_app", "prefork"),
    Worker("imaging-io", "pixmill_imaging.celery_app", "threads"),
    Worker("notifier", "pixmill_notifier.celery_app", "threads"),
    Worker("worker", "pixmill_api.celery_app", "prefork"),
)


class ProcessTable:
    """``variables`` are those of every process; ``cwd`` is where they run."""

    def __init__(self, variables: Mapping[str, str], migrate_url: str, ports: PortPlan, cwd: Path) -> None:
        self._variables = variables
        self._migrate_url = migrate_url
        self._ports = dict(ports.items())
        self._cwd = cwd
        self._bin = Path(sys.executable).parent
        self._bind = variables["PIXMILL_BIND"]

    def groups(self) -> list[list[ProcessSpec]]:
        """In the order of starting, without the servers. The members of a group need each other not at all.

        Raises StackError when a variable that decides the arguments is wrong.
        """
        workers = [self._worker(worker) for worker in WORKERS]
        return [
            [self._migrate()],
            [self._dispatcher(), *workers, self._beat(), self._flower()],
            [self._service("api", [*self._python, "pixmill_api"])],
        ]

    @property
    def _lean(self) -> dict[str, str]:
        # The celery command imports two shells and all of Flower before it looks at its arguments: 1.5 of the 4 s of
        # CPU that a worker needs to start. It finds the empty ones in this directory first.
        path = [str(Path(__file__).with_name("lean")), self._variables.get("PYTHONPATH", "")]
        return {**_QUIET, "PYTHONPATH": os.pathsep.join(filter(None, path))}

    @property
    def _python(self) -> list[str]:
        return [sys.executable, "-m"]

    def _migrate(self) -> ProcessSpec:
        env = {**self._variables, "PIXMILL_MIGRATE_DATABASE_URL": self._migrate_url}
        return ProcessSpec("migrate", (str(self._bin / "pixmill"), "migrate"), env, self._cwd, ready=None)

    def _dispatcher(self) -> ProcessSpec:
        return self._service("dispatcher", [*self._python, "pixmill_shared.dispatcher"])

    def _beat(self) -> ProcessSpec:
        return self._service("beat", self._celery(_SHARED_APP, "beat"), extra=self._lean)

    def _worker(self, worker: Worker) -> ProcessSpec:
        argv = self._celery(worker.app, "worker", "-n", f"{worker.name}@%h", "-P", worker.pool)
        argv += [*self._size(worker), "-Q", ",".join(WORKER_QUEUES[worker.name])]
        argv += ["--without-gossip", "--without-mingle"]
        grace = _validated(ShutdownSettings, self._variables).timeout + _WORKER_GRACE
        return self._service(worker.name, argv, grace, self._lean)

    def _flower(self) -> ProcessSpec:
        flower = _validated(FlowerSettings, self._variables)  # refused now, rather than by a process that keeps dying
        env = {**self._variables, **_QUIET, "PIXMILL_PORT": str(self._ports["flower"])}
        argv = (*self._python, "pixmill_shared.flower")
        return ProcessSpec("flower", argv, env, self._cwd, self._answers("flower", flower.path("/healthcheck")))

    def _service(
        self, name: str, argv: list[str], grace: float = 30, extra: Mapping[str, str] | None = None
    ) -> ProcessSpec:
        env = {**self._variables, "PIXMILL_PORT": str(self._ports[name]), **(extra or {})}
        return ProcessSpec(name, tuple(argv), env, self._cwd, self._answers(name, "/health/ready"), grace=grace)

    def _answers(self, name: str, path: str) -> Callable[[], Awaitable[bool]]:
        host, port = probe_host(self._bind), self._ports[name]
        return lambda: http_ready(host, port, path)

    def _celery(self, app: str, command: str, *arguments: str) -> list[str]:
        return [str(self._bin / "celery"), "-A", app, command, *arguments]

    def _size(self, worker: Worker) -> list[str]:
        scaling = _validated(ScalingSettings, self._variables)
        if worker.name == "imaging" and scaling.autoscale:
            return [f"--autoscale={scaling.most},{scaling.least}"]
        settings = _validated(ConcurrencySettings, self._variables)
        return ["-c", str(int(getattr(settings, worker.name.replace("-", "_"))) or os.cpu_count() or 1)]


def _validated(settings: type[_S], variables: Mapping[str, str]) -> _S:
    try:
        return settings.model_validate(dict(variables))
    except ValidationError as error:
        lines = [f"{problem['loc'][0] if problem['loc'] else ''}: {problem['msg']}" for problem in error.errors()]
        raise StackError("\n".join(lines)) from None
