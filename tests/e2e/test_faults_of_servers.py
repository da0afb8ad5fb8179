"""Redis, Postgres and the bucket go away under load while somebody is in the middle of a job: no job is lost, none is
done twice, and every webhook comes under one id. `make chaos` does the same many times, and at seeded moments.
"""

import random
import time
import uuid

import pytest
from tests.faults.auditor import Auditor
from tests.faults.load import Load
from tests.faults.neighbours import Hook
from tests.faults.others import ClockBack, ClockBackAndKill
from tests.faults.rounds import OVER_WITHIN, play
from tests.faults.scenarios import FlushRedis, FreezeRedis, KillPostgres, KillRedis, StorageErrors, StorageHangs
from tests.faults.stack import Stack
from tests.faults.striking import Fault, Moment

pytestmark = pytest.mark.timeout(400)


@pytest.mark.parametrize(
    ("fault", "point"),
    [
        (KillRedis, "dispatch.published"),
        (FlushRedis, "render.claimed"),
        (FreezeRedis, "dispatch.taken"),
        (KillPostgres, "finish.begun"),
        (StorageErrors, "output.made"),
        (StorageHangs, "body.opened"),
        (ClockBack, "output.stored"),
        (ClockBackAndKill, "output.made"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_fault_loses_and_doubles_nothing(breakable: Stack, fault: type[Fault], point: str) -> None:
    dice = random.Random(fault.__name__)
    (outcome,) = play(breakable, {fault: Moment((point,), dice)}, 40, dice, patience=4)
    assert outcome.wrong == []


def test_auditor_notices_what_is_lost_and_doubled(breakable: Stack) -> None:
    load = Load(breakable, 10, random.Random("audited"))
    load.start()
    load.wait_sent()
    auditor = Auditor(breakable, load)
    auditor.wait(OVER_WITHIN)
    assert auditor.audit(set()).all == []
    first, second, third = [order.job_id for order in load.orders if order.kind in ("upload", "url", "several")][:3]
    (row,) = breakable.rows(
        "SELECT r.storage_key FROM renditions r JOIN outputs o ON o.rendition_id = r.id WHERE o.job_id = %s LIMIT 1",
        (first,),
    )
    breakable.store.delete(row["storage_key"])
    breakable.rows(
        "INSERT INTO job_events (id, job_id, sequence, type) VALUES (%s, %s, 99, 'job.failed')",
        (str(uuid.uuid4()), second),
    )
    breakable.neighbours.hooks.append(Hook("msg_of_nobody", "job.completed", str(third), 204, time.time()))
    found = auditor.audit(set())
    assert sorted(found.lost) == [
        f"the rendition {row['storage_key']} has no object",
        f"the webhook of job {second} never arrived",
    ]
    assert sorted(found.doubled) == [
        f"job {second} has 2 terminal events and 1 deliveries",
        f"job {third} was told of under other ids: {{'msg_of_nobody'}}",
    ]
    breakable.rows("DELETE FROM jobs WHERE id = %s", (first,))
    assert f"job {first} was accepted and is gone" in auditor.audit(set()).lost
