"""A short part of ``make soak``: whatever happens to jobs that generate at once, their rows and objects agree."""

from pathlib import Path

import pytest
from tests.soak.generating import Load
from tests.soak.generation import generate_under_stress, table


@pytest.mark.timeout(400)
def test_silent_workers_doubled_messages_cancel_and_delete_lose_mix_and_miscount_nothing(
    postgres_url: str, tmp_path: Path
) -> None:
    load = Load(seconds=6, lease=0.4, silent=0.2, jobs=10, settle=120, least=4, patience=120)
    made = generate_under_stress(postgres_url, tmp_path, load)
    assert made.wrong == [], table(made)
    # Without these it would show nothing.
    assert made.seen.expired >= load.least, table(made)
    assert min(made.jobs["completed"], made.seen.canceled, made.seen.deleted) > 1, table(made)
