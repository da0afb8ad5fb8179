"""What the packages offer to do outside of their workers is all that there is to do."""

import subprocess
import sys

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.plumbing.inline import load_services

MEND = "name it in the SERVICE of its package's entry point in pixmill.inline"


#: They do a dispatcher's work for workers; a process that works itself is its own dispatcher.
FOR_A_BROKER = {TaskName.RECOVER_STALLED, TaskName.PROCESS_PENDING, TaskName.DELIVER_PENDING}


def test_every_task_of_the_contract_can_be_run_inline_and_no_other() -> None:
    services = load_services()
    offered = [*services.in_threads, *services.in_children]
    assert sorted(offered) == sorted(name.value for name in TaskName if name not in FOR_A_BROKER), MEND


def test_only_what_decodes_is_kept_in_children() -> None:
    assert list(load_services().in_children) == [TaskName.RENDER_JOB.value, TaskName.GENERATE_CHUNK.value]


def test_loading_them_loads_nothing_that_decodes() -> None:
    code = (
        "import sys; from pixmill_shared.plumbing.inline import load_services; load_services().in_threads;"
        " print([m for m in ('PIL', 'pyvips', 'pillow_heif') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
