"""How busy the container is, as its control group tells; the machine where there is none."""

from pathlib import Path

import pytest

from pixmill_shared.observability.machine import Machine

GIB = 1 << 30


class Group:
    """A control group (version 2) at ``path`` that was given ``quota`` microseconds of CPU in each 100,000."""

    def __init__(self, root: Path, quota: str = "200000", path: str = "", listed: str = "0::/") -> None:
        self.root, self.directory = root, root / path
        self.directory.mkdir(parents=True, exist_ok=True)
        (root / "listed").write_text(f"{listed}\n")
        self.now = 100.0
        self.write("cpu.max", f"{quota} 100000")
        self.use(0)

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(f"{text}\n")

    def use(self, seconds: float) -> None:
        self.write("cpu.stat", f"usage_usec {round(seconds * 1e6)}\nuser_usec 1\nsystem_usec 1")

    def machine(self) -> Machine:
        return Machine(self.root, self.root / "listed", lambda: self.now)


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


UNIT = "system.slice/pixmill.service"


@pytest.mark.parametrize("bounded", [UNIT, "system.slice"])
def test_bound_of_a_unit_or_of_a_slice_above_it_counts(tmp_path: Path, bounded: str) -> None:
    (tmp_path / UNIT).mkdir(parents=True)
    group = Group(tmp_path, path=bounded, listed=f"0::/{UNIT}")
    group.write("memory.max", str(2 * GIB))
    group.write("memory.current", str(2 * GIB))
    machine = group.machine()
    assert (machine.cpu(), machine.memory()) == (0, 100)
    group.now += 10
    group.use(19)
    assert machine.cpu() == pytest.approx(95)


def test_narrowest_of_several_bounds_counts(tmp_path: Path) -> None:
    wide = Group(tmp_path, quota="400000", path="pod")
    narrow = Group(tmp_path, quota="50000", path="pod/container", listed="0::/pod/container")
    machine = narrow.machine()
    machine.cpu()
    narrow.now += 10
    narrow.use(4)
    wide.use(4)
    assert machine.cpu() == pytest.approx(80)


class OldGroup:
    """A control group of version 1, whose process may use half a core and 2 GiB."""

    def __init__(self, root: Path, shown: str, listed: str) -> None:
        self.root, self.shown, self.now = root, shown, 100.0
        names = "cpu,cpuacct" if (root / "cpu,cpuacct").exists() else "cpu"
        (root / "listed").write_text(f"4:memory:{listed}\n3:{names}:{listed}\n2:cpuacct:{listed}\n0::/\n")
        self.write("cpu", "cpu.cfs_quota_us", "50000")
        self.write("cpu", "cpu.cfs_period_us", "100000")
        self.write("cpu", "cpu.stat", "nr_periods 5")
        self.write("memory", "memory.limit_in_bytes", str(2 * GIB))
        self.write("memory", "memory.usage_in_bytes", str(2 * GIB))
        self.write("memory", "memory.stat", f"inactive_file 0\ntotal_inactive_file {GIB // 50}")
        self.use(0)

    def write(self, controller: str, name: str, text: str) -> None:
        directory = self.root / controller / self.shown
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(f"{text}\n")

    def use(self, seconds: float) -> None:
        self.write("cpuacct", "cpuacct.usage", str(round(seconds * 1e9)))

    def machine(self) -> Machine:
        return Machine(self.root, self.root / "listed", lambda: self.now)


@pytest.mark.parametrize(
    ("shown", "listed"),
    [(UNIT, f"/{UNIT}"), ("", "/docker/4f2a"), ("", "/"), ("", "/../..")],
    ids=["unit", "container", "own namespace", "outside"],
)
def test_bounds_of_version_1_count(tmp_path: Path, shown: str, listed: str) -> None:
    group = OldGroup(tmp_path, shown, listed)
    machine = group.machine()
    assert (machine.cpu(), machine.memory()) == (0, pytest.approx(99))
    group.now += 10
    group.use(4)
    assert machine.cpu() == pytest.approx(80)


def test_both_counters_of_version_1_may_be_in_one_directory(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct").mkdir()
    for name in ("cpu", "cpuacct"):
        (tmp_path / name).symlink_to("cpu,cpuacct")
    group = OldGroup(tmp_path, UNIT, f"/{UNIT}")
    machine = group.machine()
    machine.cpu()
    group.now += 10
    group.use(2)
    assert machine.cpu() == pytest.approx(40)


def test_version_1_without_bounds_is_as_the_machine(tmp_path: Path) -> None:
    group = OldGroup(tmp_path, "", "/")
    group.write("cpu", "cpu.cfs_quota_us", "-1")
    group.write("memory", "memory.limit_in_bytes", "9223372036854771712")
    group.write("memory", "memory.usage_in_bytes", str(1 << 61))
    machine = group.machine()
    machine.cpu()
    group.now += 1
    group.use(1e6)
    assert 0 <= machine.cpu() <= 100
    assert 0 < machine.memory() < 100


def test_this_process_is_somewhat_busy_whatever_its_groups() -> None:
    machine = Machine()
    assert machine.cpu() >= 0
    assert 0 < machine.memory() <= 100
