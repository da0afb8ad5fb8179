"""The supervisor, with real processes that are nothing but supervised."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.integration.local_stack.conftest import Fakes, eventually
from tests.pids import is_alive

from pixmill.errors import ProcessFailedError, StopRequestedError
from pixmill.local.child import Child
from pixmill.local.keeper import RestartPolicy
from pixmill.local.supervisor import Supervisor

QUICK = RestartPolicy(window=60, first_delay=0.05, longest_delay=0.2)


def test_each_group_starts_when_the_one_before_is_ready_and_stops_in_reverse(fakes: Fakes) -> None:
    groups = [[fakes.spec("first", "slow=0.4")], [fakes.spec("second"), fakes.spec("third")], [fakes.spec("last")]]
    supervisor = Supervisor(groups, fakes.sink)
    supervisor.start()
    supervisor.stop()
    events = [(kind, name) for kind, name, _ in fakes.events()]
    assert events.index(("probed", "first")) < events.index(("started", "second"))
    assert max(events.index(("probed", name)) for name in ("second", "third")) < events.index(("started", "last"))
    stops = [name for kind, name in events if kind == "stopping"]
    assert (stops[0], set(stops[1:3]), stops[3]) == ("last", {"second", "third"}, "first")
    assert not any(map(is_alive, fakes.pids()))


def test_a_line_carries_the_name_of_the_process_that_wrote_it(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("alpha"), fakes.spec("beta")]], fakes.sink)
    supervisor.start()
    supervisor.stop()
    assert "alpha      | hello from alpha\n" in fakes.log.getvalue()
    assert "beta       | hello from beta\n" in fakes.log.getvalue()


def test_a_process_that_dies_is_started_again_and_said_so(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("phoenix")]], fakes.sink, QUICK)
    supervisor.start()
    first = supervisor.pids()["phoenix"]
    os.kill(first, signal.SIGKILL)
    assert eventually(lambda: "phoenix is back" in fakes.log.getvalue())
    assert supervisor.pids()["phoenix"] != first
    supervisor.stop()
    assert "phoenix died (SIGKILL): starting it again in 0.05 s" in fakes.log.getvalue()


def test_a_process_that_fails_at_its_first_start_gets_another_try(fakes: Fakes, tmp_path: Path) -> None:
    supervisor = Supervisor([[fakes.spec("shy", f"fail-once={tmp_path / 'mark'}")]], fakes.sink, QUICK)
    supervisor.start()
    supervisor.stop()
    assert len(fakes.events("started")) == 2


def test_one_that_keeps_dying_ends_the_start_with_its_last_lines_and_stops_the_rest(fakes: Fakes) -> None:
    groups = [[fakes.spec("steady")], [fakes.spec("broken", "exit-after=0", "exit-code=7")]]
    supervisor = Supervisor(groups, fakes.sink, QUICK)
    with pytest.raises(ProcessFailedError, match=r"broken died 4 times .*exit code 7") as caught:
        supervisor.start()
    assert "hello from broken" in str(caught.value)
    assert [name for _, name, _ in fakes.events("started")] == ["steady"] + ["broken"] * 4
    assert not any(map(is_alive, fakes.pids()))


def test_one_that_keeps_dying_later_ends_the_wait(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("steady"), fakes.spec("doomed")]], fakes.sink, QUICK)
    supervisor.start()

    def kill_again() -> bool:
        pid = supervisor.pids().get("doomed")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return "steady" not in supervisor.pids()

    assert eventually(kill_again)
    with pytest.raises(ProcessFailedError, match="doomed died 4 times"):
        supervisor.wait(60)
    assert not any(map(is_alive, fakes.pids()))


def test_the_delay_before_a_restart_doubles_up_to_its_longest(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("broken", "exit-after=0")]], fakes.sink, QUICK)
    with pytest.raises(ProcessFailedError):
        supervisor.start()
    said = [line.rpartition("again in ")[2] for line in fakes.log.getvalue().splitlines() if "again in" in line]
    assert said == ["0.05 s", "0.1 s", "0.2 s"]


def test_one_that_never_becomes_ready_is_named(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("sleepy", "slow=60", start_timeout=0.5)]], fakes.sink)
    with pytest.raises(ProcessFailedError, match=r"sleepy was not ready within 0\.5 s"):
        supervisor.start()
    assert not any(map(is_alive, fakes.pids()))


def test_one_that_does_not_stop_is_killed_with_its_children_after_its_grace(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("deaf", "deaf", "grandchild", grace=0.3)]], fakes.sink)
    supervisor.start()
    began = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - began >= 0.3
    assert "deaf did not stop within 0.3 s: killed" in fakes.log.getvalue()
    assert len(fakes.pids()) == 2
    assert eventually(lambda: not any(map(is_alive, fakes.pids())))


def test_one_that_ended_while_the_machine_stood_still_is_not_said_to_be_killed(fakes: Fakes) -> None:
    """What the loop sees first, when it goes on, is that the grace is over."""
    child = Child(fakes.job("quick", "pass"), fakes.sink)
    assert eventually(lambda: not child.is_running())
    asyncio.run(child.stop(0))
    assert fakes.log.getvalue() == ""


def test_output_that_somebody_holds_open_is_closed_when_he_ends(fakes: Fakes) -> None:
    """One that left the group, and is waited for no longer."""
    end = fakes.directory / "end"
    waits = f"import os, time\nwhile not os.path.exists({str(end)!r}): time.sleep(0.01)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', {waits!r}], start_new_session=True)"
    child = Child(fakes.job("parent", code), fakes.sink)
    assert asyncio.run(child.exited()) == 0
    assert child._process.stdout is not None
    assert not child._process.stdout.closed
    end.touch()
    assert eventually(lambda: bool(child._process.stdout.closed))


def test_what_a_process_leaves_behind_is_ended_with_it(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("parent", "grandchild")]], fakes.sink)
    supervisor.start()
    supervisor.stop()
    assert len(fakes.pids()) == 2
    assert eventually(lambda: not any(map(is_alive, fakes.pids())))


def test_a_job_that_fails_ends_the_start_at_once(fakes: Fakes) -> None:
    job = fakes.job("migrate", "print('no such column'); raise SystemExit(3)")
    supervisor = Supervisor([[job], [fakes.spec("never")]], fakes.sink)
    with pytest.raises(ProcessFailedError, match=r"migrate failed \(exit code 3\)(?s:.*)no such column"):
        supervisor.start()
    assert not (fakes.directory / "journal").exists()


def test_what_follows_a_job_waits_for_its_end(fakes: Fakes) -> None:
    mark = fakes.directory / "done"
    job = fakes.job("migrate", f"import time; time.sleep(0.3); open({str(mark)!r}, 'w')")
    supervisor = Supervisor([[job], [fakes.spec("after")]], fakes.sink)
    supervisor.start()
    started = (fakes.directory / "journal").stat()
    assert mark.stat().st_mtime <= started.st_mtime
    supervisor.stop()


def test_a_stop_while_starting_leaves_nothing(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("sleepy", "slow=60")], [fakes.spec("never")]], fakes.sink)

    def stop_when_started() -> None:
        eventually(lambda: bool(fakes.events("started")))
        supervisor.request_stop()

    thread = threading.Thread(target=stop_when_started)
    thread.start()
    with pytest.raises(StopRequestedError):
        supervisor.start()
    thread.join()
    assert [name for _, name, _ in fakes.events("started")] == ["sleepy"]
    assert not any(map(is_alive, fakes.pids()))


def test_kill_does_not_wait_for_the_grace(fakes: Fakes) -> None:
    supervisor = Supervisor([[fakes.spec("deaf", "deaf", grace=600)]], fakes.sink)
    supervisor.start()
    supervisor.request_stop()
    supervisor.kill()
    supervisor.wait(60)
    assert not any(map(is_alive, fakes.pids()))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of a parent's death on Linux only")
def test_a_killed_supervisor_leaves_no_process(fakes: Fakes) -> None:
    script = """
import sys
from pathlib import Path
from pixmill.local.supervisor import Supervisor
from tests.integration.local_stack.conftest import Fakes
fakes = Fakes(Path(sys.argv[1]))
supervisor = Supervisor([[fakes.spec("one")], [fakes.spec("two", "deaf")]], fakes.sink)
supervisor.start()
print("ready", flush=True)
supervisor.wait()
"""
    root = Path(__file__).parents[3]
    argv = [sys.executable, "-c", script, str(fakes.directory)]
    with subprocess.Popen(argv, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        alive = [pid for pid in fakes.pids() if is_alive(pid)]
        process.kill()
    assert len(alive) == 2
    assert eventually(lambda: not any(map(is_alive, alive)))
