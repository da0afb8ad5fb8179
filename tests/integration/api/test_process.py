"""The process: what stops it at its start, and what it does while things around it are down."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.api.running import environment, run_to_end, running_api, wait_until
from tests.integration.api.test_bad_input import assert_problem
from tests.ports import closed_port


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"DATABASE_URL": ""}, ["DatabaseSettings", "DATABASE_URL"]),
        ({"PIXMILL_SECRET_KEY": ""}, ["PIXMILL_SECRET_KEY"]),
        ({"PIXMILL_SECRET_KEY": "changeme-changeme-changeme", "PIXMILL_ENV": "production"}, ["PIXMILL_SECRET_KEY"]),
        ({"PIXMILL_STORAGE_URL": "ftp://x"}, ["PIXMILL_STORAGE_URL"]),
        ({"PIXMILL_STORAGE_URL": "file:///dev/null/x"}, ["PIXMILL_STORAGE_URL"]),
        ({"PIXMILL_AUTH": "maybe"}, ["PIXMILL_AUTH"]),
        ({"PIXMILL_PORT": "x", "PIXMILL_MAX_BODY_BYTES": "-1"}, ["PIXMILL_PORT", "PIXMILL_MAX_BODY_BYTES"]),
    ],
)
def test_wrong_setting_stops_it_with_a_message_that_names_it(
    postgres_url: str, tmp_path: Path, changes: dict[str, str], named: list[str]
) -> None:
    ended = run_to_end(environment(postgres_url, tmp_path, **changes))
    assert ended.returncode == 1
    assert all(name in ended.stderr for name in named), ended.stderr
    assert "Traceback" not in ended.stderr
    assert "changeme-changeme" not in ended.stderr


def test_taken_port_stops_it_with_a_message(postgres_url: str, tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = run_to_end(environment(postgres_url, tmp_path, PIXMILL_PORT=port, PIXMILL_AUTH="on"))
    assert ended.returncode == 1
    assert port in ended.stderr
    assert "PIXMILL_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_database_that_is_down_is_503_and_the_process_lives_on(tmp_path: Path) -> None:
    nowhere = f"postgresql://app:x@127.0.0.1:{closed_port()}/none"
    with running_api(nowhere, tmp_path / "objects") as api:
        answer = api.client.post("/api/v1/process", json={"image_url": "https://example.com/a.jpg"})
        assert_problem(answer, 503, "database_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
        form = api.client.post("/api/v1/uploads", files={"file": ("a.png", b"pixels", "image/png")})
        assert_problem(form, 503, "database_unavailable")
        assert api.objects() == []
        assert api.client.get("/health").status_code == 200
        assert api.client.get("/health/ready").json()["checks"]["database"] == "unavailable"


def test_connection_that_was_cut_is_replaced(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects") as api:
        body = {"image_url": "https://example.com/a.jpg"}
        assert api.client.post("/api/v1/process", json=body).status_code == 202
        api.query(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
        assert api.client.post("/api/v1/process", json=body).status_code == 202


def test_storage_that_is_full_of_errors_is_503_and_leaves_no_row(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects") as api:
        (api.storage / "uploads").write_text("a file where a directory should be")
        before = api.traces()
        answer = api.client.post("/api/v1/uploads", content=b"x", headers={"Content-Type": "image/png"})
        assert_problem(answer, 503, "storage_unavailable")
        assert api.traces() == before


def test_upload_in_flight_ends_before_it_stops(postgres_url: str, tmp_path: Path) -> None:
    with running_api(postgres_url, tmp_path / "objects") as api:
        port = int(api.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            head = b"POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 6\r\n\r\n"
            connection.sendall(head + b"pix")
            wait_until(lambda: _established(port), "the request has arrived")
            api.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not _accepts(port), "the port is closed")
            connection.sendall(b"els")
            assert connection.recv(65536).startswith(b"HTTP/1.1 201")
        assert api.process.wait(timeout=60) == 0
        assert len(api.objects()) == 1


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _established(port: int) -> bool:
    wanted = f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # The receive queue of the server's end is empty when it has read what was sent.
    return any(row[1] == wanted and row[3] == "01" and row[4].endswith(":00000000") for row in rows)


def test_nothing_heavy_is_imported() -> None:
    script = (
        "import sys, pixmill_api.app, pixmill_api.celery_app, pixmill_api.tasks;"
        "heavy = {'PIL', 'pyvips', 'numpy', 'pixmill_imaging', 'pixmill_notifier', 'pixmill', 'alembic'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", script], env={}, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
