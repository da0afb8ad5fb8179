"""A notifier's courier with a real database, and receivers on loopback."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.integration.egress.servers import Handler, Server
from tests.integration.notifier.couriers import KEYS, SECRET
from tests.integration.notifier.watch import patient

from pixmill_notifier.domain.gate import Gate
from pixmill_notifier.service.deliver import Courier
from pixmill_notifier.service.outcome import Patience
from pixmill_shared.database.engine import Database
from pixmill_shared.egress import EgressClient
from pixmill_shared.service.sealing import Sealer
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import open_store
from pixmill_shared.storage.signing import FileUrlSigner


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = patient(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, dead_letters, api_keys, endpoints, receivers, alerts CASCADE"))
    yield database
    database.dispose()


@pytest.fixture
def receive() -> Iterator[Callable[[Handler], Server]]:
    servers: list[Server] = []

    def start(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def courier(database: Database, tmp_path: Path) -> Courier:
    signer = FileUrlSigner(KEYS)
    settings = StorageSettings(url=tmp_path.as_uri())
    return Courier(
        database=database,
        store=open_store(settings, signer, "https://pixmill.example"),
        egress=EgressClient(EgressSettings(allow="127.0.0.1")),
        sealer=Sealer(KEYS),
        webhook_secret=SECRET,
        url_ttl=3600,
        timeout=30.0,
        worker_name="a test",
        lease=60,
        rng=random.Random(1),
        gate=Gate(4),
        patience=Patience(silences=5, endpoint=5 * 86_400),
    )
