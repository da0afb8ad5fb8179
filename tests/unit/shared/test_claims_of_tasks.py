"""What a worker's main process knows of the row that a task claims."""

import uuid

import pytest

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.domain.generation import MOST_ITEMS, time_limit
from pixmill_shared.plumbing.leases import work_named


def test_claim_of_a_chunk_is_kept_for_as_long_as_the_longest_list_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_JOB_TIMEOUT", "60")
    work = work_named(TaskName.GENERATE_CHUNK, {"chunk_id": str(uuid.uuid4())})
    assert work is not None
    assert work.longest == time_limit(60, MOST_ITEMS) == 600
