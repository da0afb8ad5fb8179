"""docker-compose.yml at work: its servers, each service in its image with the variables that it gets, and a picture."""

import base64
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest
import redis
from PIL import Image as Picture
from tests.integration.containers.build import Builder
from tests.integration.containers.compose import Container, services
from tests.integration.containers.machine import running_postgres, running_redis
from tests.integration.local_stack.conftest import eventually

from pixmill.local.ports import PortPlan

PROCESSES = ("api", "imaging", "notifier", "imaging-io", "worker", "beat", "dispatcher", "flower")
HEALTHY_WITHIN = 240.0
FINISHED_WITHIN = 120.0

# Five images are built, and eight processes started at once.
pytestmark = pytest.mark.timeout(600)


class Outside:
    """The internet: a picture to fetch at ``/picture.png``, and a webhook receiver for everything that is posted."""

    def __init__(self, picture: bytes) -> None:
        self.received: list[dict[str, str]] = []
        self.arrived = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "image/png")
                self.send_header("Content-Length", str(len(picture)))
                self.end_headers()
                self.wfile.write(picture)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.received.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(204)
                self.end_headers()
                outer.arrived.set()

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@dataclass
class Composed:
    """Everything, up and healthy."""

    containers: dict[str, Container]
    outside: Outside
    superuser: dict[str, Any]
    migrate_url: str
    redis_port: int
    redis_password: str

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.containers[name].environment['PIXMILL_PORT']}"


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """Where the servers' own user can enter, unlike pytest's directories."""
    directory = Path(tempfile.mkdtemp(prefix="pixmill-compose-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture(scope="module")
def composed(builder: Builder, place: Path) -> Iterator[Composed]:
    buffer = BytesIO()
    Picture.effect_noise((640, 480), 60).convert("RGB").save(buffer, "PNG")
    outside = Outside(buffer.getvalue())
    env_file = dot_env(outside.host)
    plan = PortPlan.free("127.0.0.1")
    servers = services(env_file)
    ports = PortPlan.free("127.0.0.1")
    (place / "postgres").mkdir()
    (place / "redis").mkdir()
    (place / "data").mkdir()
    with (
        running_postgres(servers["postgres"], place / "postgres", ports.api) as postgres,
        running_redis(servers["redis"], place / "redis", ports.imaging),
    ):
        reach = {"postgres:5432": f"127.0.0.1:{ports.api}", "redis:6379": f"127.0.0.1:{ports.imaging}"}
        containers = {
            name: container(builder, servers[name], place, reach, getattr(plan, name.replace("-", "_")))
            for name in PROCESSES
        }
        migrate_url = migrate(builder, servers["migrate"], place, reach)
        try:
            for entry in containers.values():
                entry.start()
            for entry in containers.values():
                entry.wait_until_healthy(HEALTHY_WITHIN)
            superuser = postgres.connection_parameters("pixmill")
            yield Composed(containers, outside, superuser, migrate_url, ports.imaging, env_file["REDIS_PASSWORD"])
        finally:
            for entry in containers.values():
                entry.kill()
            outside.server.shutdown()
            outside.server.server_close()


def dot_env(outside: str) -> dict[str, str]:
    """A .env file as a user writes it; PIXMILL_ENV is left out, so this is production."""
    return {
        "POSTGRES_MIGRATE_PASSWORD": secrets.token_hex(16),
        "DB_PASSWORD": secrets.token_hex(16),
        "REDIS_PASSWORD": secrets.token_hex(16),
        "PIXMILL_SECRET_KEY": secrets.token_urlsafe(32),
        "PIXMILL_WEBHOOK_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode(),
        "FLOWER_USER": "admin",
        "FLOWER_PASSWORD": secrets.token_hex(8),
        "PIXMILL_EGRESS_ALLOW": outside,
    }


def container(builder: Builder, service: Any, place: Path, reach: dict[str, str], port: int) -> Container:
    """What a container's network and volumes would give is put into the values; no variable is added."""
    (place / "state").mkdir(exist_ok=True)
    reach = {**reach, "file:///data": f"file://{place}/data", "/state/": f"{place}/state/"}
    overrides = {name: _here(value, reach) for name, value in service.environment.items()}
    if "DB_HOST" in overrides:
        overrides["DB_HOST"] = reach["postgres:5432"]
    overrides |= {"PIXMILL_BIND": "127.0.0.1", "PIXMILL_PORT": str(port)}
    image = builder.image(service.dockerfile)
    return Container(service, image, overrides, place / f"{service.name}.log")


def _here(value: str, reach: dict[str, str]) -> str:
    for inside, here in reach.items():
        value = value.replace(inside, here)
    return value


def migrate(builder: Builder, service: Any, place: Path, reach: dict[str, str]) -> str:
    """Run it to its end; the URL of the role that owns the schema."""
    once = container(builder, service, place, reach, 0)
    once.start()
    assert once.process is not None
    assert once.process.wait(120) == 0, once.tail()
    return once.environment["PIXMILL_MIGRATE_DATABASE_URL"]


@pytest.fixture(scope="module")
def key(composed: Composed) -> str:
    """Made as the documents say: ``docker compose exec api pixmill keys create``."""
    api = composed.containers["api"]
    made = subprocess.run(
        ["pixmill", "keys", "create"], env=api.environment, capture_output=True, text=True, check=True
    )
    found = re.search(r"pxm_\S+", made.stdout)
    assert found, made.stdout
    return found[0]


def finished(composed: Composed, key: str, job_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + FINISHED_WITHIN
    while time.monotonic() < deadline:
        job = httpx.get(
            f"{composed.url('api')}/api/v1/jobs/{job_id}", headers={"Authorization": f"Bearer {key}"}, timeout=60
        ).json()
        if job["status"] in ("completed", "failed"):
            return dict(job)
        time.sleep(0.1)
    raise AssertionError("\n".join(f"== {name}\n{entry.tail()}" for name, entry in composed.containers.items()))


def test_a_picture_goes_from_its_url_to_the_result_and_a_webhook(composed: Composed, key: str) -> None:
    answer = httpx.post(
        f"{composed.url('api')}/api/v1/process",
        headers={"Authorization": f"Bearer {key}"},
        json={
            "image_url": f"http://{composed.outside.host}/picture.png",
            "width": 80,
            "height": 60,
            "webhook_url": f"http://{composed.outside.host}/hook",
        },
        timeout=60,
    )
    assert answer.status_code == 202, answer.text
    job = finished(composed, key, answer.json()["job_id"])
    assert job["status"] == "completed", job
    url = job["outputs"][0]["url"].replace("http://127.0.0.1:8000", composed.url("api"))
    made = Picture.open(BytesIO(httpx.get(url, timeout=60).content))
    assert made.size == (80, 60)
    assert composed.outside.arrived.wait(FINISHED_WITHIN), composed.containers["notifier"].tail()
    assert composed.outside.received[0]["webhook-signature"].startswith("v1,")


def test_migrate_owns_the_schema_and_app_may_only_touch_rows(composed: Composed) -> None:
    connection = psycopg2.connect(composed.migrate_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchall() == [("migrate",)]
        cursor.execute(
            "SELECT has_table_privilege('app', 'jobs', 'INSERT'), has_table_privilege('app', 'jobs', 'TRUNCATE'), "
            "has_schema_privilege('app', 'public', 'CREATE')"
        )
        assert cursor.fetchone() == (True, False, False)
    connection.close()


def test_the_database_superuser_cannot_log_in_from_another_container(composed: Composed) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(**composed.superuser)


def test_redis_wants_a_password_keeps_a_log_and_evicts_nothing(composed: Composed) -> None:
    with redis.Redis(port=composed.redis_port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with redis.Redis(port=composed.redis_port, password=composed.redis_password, decode_responses=True) as client:
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_flower_asks_for_its_login(composed: Composed) -> None:
    environment = composed.containers["flower"].environment
    login = (environment["FLOWER_USER"], environment["FLOWER_PASSWORD"])
    assert httpx.get(composed.url("flower"), timeout=60).status_code == 401
    assert httpx.get(composed.url("flower"), auth=login, timeout=60).status_code == 200


def test_no_password_is_among_the_arguments_of_a_process(composed: Composed) -> None:
    for name, entry in composed.containers.items():
        assert entry.process is not None
        arguments = Path(f"/proc/{entry.process.pid}/cmdline").read_text()
        found = [variable for variable, value in entry.environment.items() if _secret(variable) and value in arguments]
        assert not found, f"{name} shows {found}"


def _secret(variable: str) -> bool:
    return bool(re.search("PASSWORD|SECRET|KEY|REDIS_URL|DATABASE_URL", variable))


def test_each_service_stops_in_its_grace_and_leaves_nothing(composed: Composed) -> None:
    """Runs last: it stops what the tests above use."""
    files = {name: _files(entry) for name, entry in composed.containers.items()}
    for name in reversed(PROCESSES):
        entry = composed.containers[name]
        assert entry.stop() == 0, f"{name}: {entry.tail()}"
        # One that was told to end with it may be ending, or waits to be buried by the machine's first process.
        assert eventually(lambda entry=entry: not entry.left_over()), f"{name} left a process behind"
        assert _files(entry) == files[name], f"{name} writes into its image, which is read-only in compose"


def _files(entry: Container) -> set[str]:
    return set(os.listdir(entry.image.root / "opt/pixmill"))
