"""Which process listens where; sockets are bound to take ports away."""

import socket

import pytest

from pixmill.errors import PortTakenError, StackError
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
