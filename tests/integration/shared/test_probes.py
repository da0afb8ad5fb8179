"""Who asks a process how it is, and does not wait for the answer."""

import socket
import struct
import threading

import pytest
from tests.ports import free_port
from tests.waiting import eventually

from pixmill_shared.observability.health import HealthServer, Pulse
from pixmill_shared.settings.process import ListenSettings


def answering() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request" in thread.name]


def test_probe_that_goes_before_its_answer_leaves_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        asked.set()
        go_on.wait(60)

    port = free_port()
    server = HealthServer(Pulse(), {"database": slow}, ListenSettings(bind="127.0.0.1", port=port))
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as probe:
            # Closed, it resets the connection: what is sent to it from then on is an error.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            probe.sendall(b"GET /health/ready HTTP/1.1\r\n\r\n")
            assert asked.wait(60)
        go_on.set()
        eventually(lambda: not answering(), 60)
    finally:
        go_on.set()
        server.stop()
    assert "Traceback" not in capsys.readouterr().err
