"""Which process listens where; sockets are bound to take ports away."""

import socket
import subprocess
import sys

import pytest

from pixmill.errors import PortTakenError, StackError
from pixmill.local import ports
from pixmill.local.ports import PortPlan, choose_free


def test_ports_follow_the_apis_in_the_order_of_the_documents() -> None:
    names = ["api", "imaging", "notifier", "imaging-io", "worker", "beat", "dispatcher", "flower"]
    assert list(PortPlan.from_base(9100).items()) == list(zip(names, range(9100, 9108), strict=True))


def test_without_a_port_flower_is_where_its_users_look_for_it() -> None:
    plan = dict(PortPlan.from_base(None).items())
    assert (plan["api"], plan["dispatcher"], plan["flower"]) == (8000, 8006, 5555)


@pytest.mark.parametrize("port", [0, -1, 65529, 70000])
def test_a_port_without_room_above_it_is_refused(port: int) -> None:
    with pytest.raises(StackError, match="out of range"):
        PortPlan.from_base(port)


def test_the_highest_port_that_fits_is_taken() -> None:
    assert PortPlan.from_base(65528).flower == 65535


def test_a_taken_port_is_named_with_its_process() -> None:
    plan = PortPlan.free()
    taken = pytest.raises(PortTakenError, match=rf"port {plan.beat} \(beat\)\.")
    with socket.create_server(("127.0.0.1", plan.beat)), taken as caught:
        plan.require_free("127.0.0.1")
    assert str(plan.api) not in str(caught.value)
    plan.require_free("127.0.0.1")


def test_a_wanted_port_is_kept_while_it_is_free() -> None:
    wanted = PortPlan.free().api
    assert choose_free("127.0.0.1", wanted) == wanted
    with socket.create_server(("127.0.0.1", wanted)):
        assert choose_free("127.0.0.1", wanted) != wanted
    assert choose_free("127.0.0.1", wanted, frozenset({wanted})) != wanted


def test_processes_that_choose_at_the_same_time_choose_none_twice() -> None:
    """None of the ports is taken by a server meanwhile."""
    script = """
import sys
from pixmill.local.ports import PortPlan, choose_free
plans = [PortPlan.free().api for _ in range(10)]
print(*(port for base in plans for port in range(base, base + 8)), *(choose_free("127.0.0.1") for _ in range(20)))
sys.stdout.flush()
sys.stdin.read()
"""
    argv = [sys.executable, "-c", script]
    chosen: list[str] = []
    processes = [subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    for process in processes:
        assert process.stdout is not None
        chosen += process.stdout.readline().split()
    for process in processes:
        process.communicate(timeout=60)
    assert len(chosen) == len(set(chosen)) == 6 * 100


def test_without_a_block_of_its_own_a_process_chooses_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_own_block", lambda pid: None)
    assert PortPlan.free().api in ports._FREE_RANGE
    assert choose_free("127.0.0.1") in ports._FREE_RANGE
