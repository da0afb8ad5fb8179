"""How busy the container is, as its control group tells; the machine where there is none."""

from pathlib import Path

import pytest

from pixmill_shared.observability.machine import Machine

GIB = 1 << 30


class Group:
    """A control group (version 2) that was given ``quota`` microseconds of CPU in each 100,000."""

    def __init__(self, directory: Path, quota: str = "200000") -> None:
        self.directory = directory
        self.now = 100.0
        self.write("cpu.max", f"{quota} 100000")
        self.use(0)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(f"{text}\n")

    def use(self, seconds: float) -> None:
        self.write("cpu.stat", f"usage_usec {round(seconds * 1e6)}\nuser_usec 1\nsystem_usec 1")

    def machine(self) -> Machine:
        return Machine(self.directory, lambda: self.now)


def test_cpu_is_that_of_the_group_since_the_last_look(tmp_path: Path) -> None:
    group = Group(tmp_path)
    machine = group.machine()
    assert machine.cpu() == 0
    group.now += 10
    group.use(5)
    assert machine.cpu() == pytest.approx(25)
    group.now += 1
    group.use(7)
    assert machine.cpu() == pytest.approx(100)


def test_group_without_a_bound_of_cpu_is_as_busy_as_the_machine(tmp_path: Path) -> None:
    group = Group(tmp_path, quota="max")
    machine = group.machine()
    group.now += 1
    group.use(1e6)
    assert 0 <= machine.cpu() <= 100


def test_memory_is_that_of_the_group_without_files_that_can_be_read_again(tmp_path: Path) -> None:
    group = Group(tmp_path)
    # More than any machine is full, so that the group's counts.
    group.write("memory.max", str(2 * GIB))
    group.write("memory.current", str(2 * GIB))
    group.write("memory.stat", f"anon 1\ninactive_file {GIB // 50}\nactive_file 5")
    assert group.machine().memory() == pytest.approx(99)


@pytest.mark.parametrize("most", ["max", None], ids=["no bound", "no group"])
def test_memory_is_the_machines_where_the_group_has_no_bound(tmp_path: Path, most: str | None) -> None:
    group = Group(tmp_path)
    if most:
        group.write("memory.max", most)
        group.write("memory.current", str(1 << 50))
    assert 0 < group.machine().memory() < 100
