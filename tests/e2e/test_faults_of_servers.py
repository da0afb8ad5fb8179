"""Redis, Postgres and the bucket go away under load while somebody is in the middle of a job: no job is lost, none is
done twice, and every webhook comes under one id. `make chaos` does the same many times, and at seeded moments.
"""

import random

import pytest
from tests.faults.others import ClockBack, ClockBackAndKill
from tests.faults.rounds import play
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
