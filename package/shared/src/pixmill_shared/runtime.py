"""Where a process is wired together: nothing else builds clients.

Everything is built at first use, from the settings that it needs, and forgotten in a forked child.
"""

import os
import random
import secrets
import socket
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pixmill_shared import failpoints
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.places import Place
from pixmill_shared.settings.database import DatabaseSettings
from pixmill_shared.settings.failpoints import FailpointSettings
from pixmill_shared.settings.places import DestinationSettings, SourceSettings
from pixmill_shared.settings.process import PublicSettings
from pixmill_shared.settings.secrets import SecretSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.settings.work import WorkSettings

if TYPE_CHECKING:
    # Imported at first use: beat, the dispatcher and Flower need none of these, and start sooner without.
    from pixmill_shared.egress import EgressClient
    from pixmill_shared.progress.publisher import Publisher
    from pixmill_shared.service.sealing import Sealer
    from pixmill_shared.storage import ObjectStore
    from pixmill_shared.storage.places import Places
    from pixmill_shared.storage.signing import FileUrlSigner


@dataclass
class Runtime:
    """The clients of one process. ``threads`` is how many use the database at once; ``worker_name`` is who claims."""

    threads: int = 1
    worker_name: str = field(default_factory=lambda: unique_name(socket.gethostname()))
    rng: random.Random = field(default_factory=random.SystemRandom)

    @cached_property
    def work(self) -> WorkSettings:
        return WorkSettings.load()

    @cached_property
    def database(self) -> Database:
        settings = DatabaseSettings.load()
        size = max(1, min(self.threads, settings.pool_size))
        return Database(
            settings.url,
            pool_size=size,
            max_overflow=self.threads,
            statement_timeout=settings.statement_timeout,
        )

    @cached_property
    def storage_settings(self) -> StorageSettings:
        return StorageSettings.load()

    @cached_property
    def signer(self) -> "FileUrlSigner":
        from pixmill_shared.storage.signing import FileUrlSigner

        return FileUrlSigner(lambda: SecretSettings.load().keys)

    @cached_property
    def sealer(self) -> "Sealer":
        from pixmill_shared.service.sealing import Sealer

        return Sealer(SecretSettings.load().keys)

    @cached_property
    def store(self) -> "ObjectStore":
        from pixmill_shared.storage import open_store

        return open_store(self.storage_settings, self.signer, PublicSettings.load().base)

    @cached_property
    def destinations(self) -> "Places":
        """Where outputs may be copied to."""
        return self._places("PIXMILL_DESTINATIONS", DestinationSettings.load().prefixes)

    @cached_property
    def sources(self) -> "Places":
        """Where sources may be read from by key."""
        return self._places("PIXMILL_SOURCES", SourceSettings.load().prefixes)

    def _places(self, variable: str, allowed: tuple[Place, ...]) -> "Places":
        from pixmill_shared.storage.places import Places

        return Places(variable, allowed, self.storage_settings, self.signer, PublicSettings.load().base)

    @cached_property
    def egress(self) -> "EgressClient":
        from pixmill_shared.egress import EgressClient
        from pixmill_shared.settings.egress import EgressSettings

        return EgressClient(EgressSettings.load())

    @cached_property
    def progress(self) -> "Publisher":
        """Tells those who watch how far a job is."""
        from pixmill_shared.progress.publisher import Publisher
        from pixmill_shared.settings.redis import RedisSettings

        return Publisher(RedisSettings.load().url)


def unique_name(name: str) -> str:
    """Of this process alone, for ever: leases are renewed and handed back by it. The front is for people."""
    return f"{name}:{os.getpid()}:{secrets.token_hex(4)}"


_current = Runtime()


def runtime() -> Runtime:
    """This process' clients."""
    return _current


def start_runtime(threads: int = 1, worker_name: str | None = None) -> Runtime:
    """A fresh set, at the start of a process or of a forked child, which claims in its parent's name."""
    global _current  # noqa: PLW0603 - one per process is the point
    failpoints.arm(FailpointSettings.load().directory)
    _current = Runtime(threads, worker_name or unique_name(socket.gethostname()))
    return _current
