"""What is refused of what the broker brings, what is kept of it, and how much of it."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest

from pixmill_shared.domain.refusals import LONGEST_EXCERPT, TITLES, Allowance, Refusal, envelope_fault, excerpt


def test_every_reason_has_a_title() -> None:
    assert set(TITLES) == set(Refusal)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"", {"text": "", "size": 0, "truncated": False}),
        ("größe".encode(), {"text": "größe", "size": 7, "truncated": False}),
        (b"a\0b", {"base64": base64.b64encode(b"a\0b").decode(), "size": 3, "truncated": False}),
        (b"\x80\x04\x95\xff\xfe", {"base64": "gASV//4=", "size": 5, "truncated": False}),
    ],
    ids=["empty", "text", "nul", "bytes"],
)
def test_excerpt_shows_text_as_text_and_bytes_in_base64(data: bytes, shown: dict[str, Any]) -> None:
    assert excerpt(data) == shown


def test_excerpt_is_cut_also_in_the_middle_of_a_character() -> None:
    found = excerpt(("x" * (LONGEST_EXCERPT - 1) + "ß" * 5_000_000).encode())
    assert found == {"text": "x" * (LONGEST_EXCERPT - 1), "size": LONGEST_EXCERPT - 1 + 10_000_000, "truncated": True}
    assert len(json.dumps(excerpt(b"\xff" * 10_000_000))) < 2 * LONGEST_EXCERPT


def envelope(**changes: object) -> dict[str, object]:
    properties = {"delivery_tag": "t", "body_encoding": "base64", "delivery_info": {"exchange": "", "routing_key": "q"}}
    return {"body": "e30=", "content-type": "application/json", "headers": {}, "properties": properties, **changes}


@pytest.mark.parametrize("changes", [{}, {"headers": None}, {"body": None}, {"content-type": None}, {"unknown": 1}])
def test_message_is_let_through(changes: dict[str, object]) -> None:
    assert envelope_fault(envelope(**changes)) is None


@pytest.mark.parametrize(
    "item",
    [
        *(None, 5, "text", [], {}),
        envelope(properties=None),
        envelope(properties=[]),
        envelope(properties={"delivery_tag": "t"}),
        envelope(properties={"delivery_tag": 5, "delivery_info": {"exchange": "", "routing_key": "q"}}),
        envelope(properties={"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": None}}),
        envelope(headers=[1]),
        envelope(headers="x"),
        envelope(headers={"compression": "zlib"}),
        envelope(body=5),
        envelope(**{"content-type": ["x"]}),
        envelope(**{"content-encoding": {"a": 1}}),
    ],
    ids=repr,
)
def test_item_that_is_no_message_has_a_fault(item: object) -> None:
    assert envelope_fault(item)


def test_allowance_is_a_burst_and_then_six_a_minute() -> None:
    allowance = Allowance()
    assert sum(allowance.take(100.0) for _ in range(1_000)) == 60
    assert not allowance.take(109.0)
    assert [allowance.take(110.5), allowance.take(110.5)] == [True, False]
    assert sum(allowance.take(1e9) for _ in range(1_000)) == 60


def test_every_connection_to_redis_is_guarded_once_the_app_is_configured() -> None:
    """In a process of its own: which transport a name stands for is remembered."""
    script = """
from pixmill_shared.celery_app import app
from kombu import Connection
assert app.conf.broker_url
for url in ("redis://localhost/0", "rediss://localhost/0?ssl_cert_reqs=required"):
    connection = Connection(url)
    print(connection.get_transport_cls().__name__, bool(connection.ssl))
print(app.connection_for_write().get_transport_cls().__name__)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["GuardedTransport", "False", "GuardedTransport", "True", "GuardedTransport"]
