"""The state machine of a job: what the table allows, and whether the statements on the hot path say the same."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pixmill_shared
from pixmill_shared import repositories
from pixmill_shared.database.prepared import Prepared
from pixmill_shared.domain.jobs import (
    TERMINAL,
    TRANSITIONS,
    IllegalTransition,
    JobStatus,
    Transition,
    after,
    sources_of,
)
from pixmill_shared.repositories import chunks, deliveries, endings, held_deliveries, jobs, leases

LIVING = [status for status in JobStatus if status not in TERMINAL]


@given(st.lists(st.sampled_from(Transition), max_size=30))
def test_whatever_is_tried_a_terminal_state_is_reached_once_and_never_left(tried: list[Transition]) -> None:
    status, endings = JobStatus.QUEUED, 0
    for transition in tried:
        before = status
        try:
            status = after(status, transition)
        except IllegalTransition:
            assert (before, transition) not in TRANSITIONS
            continue
        assert before not in TERMINAL
        endings += status in TERMINAL
    assert endings == (status in TERMINAL)


@pytest.mark.parametrize("transition", Transition)
@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_nothing_leaves_a_terminal_state(status: JobStatus, transition: Transition) -> None:
    with pytest.raises(IllegalTransition, match=f"a {status} job cannot {transition}"):
        after(status, transition)


def test_every_status_is_reachable_and_every_transition_possible() -> None:
    reached, before = {JobStatus.QUEUED}, set()
    while reached != before:
        before = set(reached)
        reached |= {target for (source, _), target in TRANSITIONS.items() if source in before}
    assert reached == set(JobStatus)
    assert {transition for _, transition in TRANSITIONS} == set(Transition)


@pytest.mark.parametrize("status", LIVING)
def test_every_living_job_can_be_canceled_and_come_to_an_end(status: JobStatus) -> None:
    assert after(status, Transition.CANCEL) is JobStatus.CANCELED


def test_only_a_claim_begins_work_and_only_work_is_completed() -> None:
    starts = {transition for (_, transition), target in TRANSITIONS.items() if target is JobStatus.PROCESSING}
    assert starts == {Transition.CLAIM}
    assert sources_of(Transition.CLAIM) == (JobStatus.QUEUED,)
    assert sources_of(Transition.COMPLETE) == sources_of(Transition.FAIL) == (JobStatus.PROCESSING,)


STATEMENTS = {
    "jobs.claim": (jobs._CLAIM, Transition.CLAIM),
    "jobs.advance": (jobs._ADVANCE, Transition.ADVANCE),
    "jobs.retry": (jobs._RETRY, Transition.RETRY),
    "jobs.wait": (jobs._WAIT, Transition.RELEASE),
    "jobs.complete": (endings.COMPLETE, Transition.COMPLETE),
    "jobs.complete_generation": (endings.COMPLETE_GENERATION, Transition.COMPLETE),
    "jobs.begin_generation_by_claim": (chunks._CLAIM, Transition.CLAIM),
    "jobs.fail": (endings.FAIL, Transition.FAIL),
    "jobs.cancel": (endings.CANCEL, Transition.CANCEL),
    "jobs.cancel_batch": (endings.CANCEL_BATCH, Transition.CANCEL),
    "jobs.hand_back": (leases.JOBS._hand_back, Transition.RELEASE),
    "jobs.expire_leases": (jobs.WORK._expire, Transition.LOSE_LEASE),
    "deliveries.claim": (deliveries._CLAIM, Transition.CLAIM),
    "deliveries.release": (deliveries._LATER, Transition.RELEASE),
    "deliveries.abandon": (deliveries._ABANDON, Transition.FAIL),
    "deliveries.hand_back": (leases.DELIVERIES._hand_back, Transition.RELEASE),
    "deliveries.expire_leases": (deliveries.WORK._expire, Transition.LOSE_LEASE),
}


def update_of(statement: Prepared) -> tuple[str, str]:
    """SET and WHERE of the statement's UPDATE of the work table."""
    found = re.search(
        r"UPDATE (?:jobs|deliveries)(?: \w)?\s+SET (.*?)\s+WHERE (.*?)(?:RETURNING|\)\s*,|$)",
        statement._prepare,
        re.DOTALL,
    )
    assert found, statement._prepare
    return found[1], found[2]


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_guarded_as_the_table_says(name: str) -> None:
    statement, transition = STATEMENTS[name]
    assignments, guard = update_of(statement)
    (stated,) = re.findall(r"status (?:=|IN) \(?('[^)\s]+'(?:, '\w+')*)", guard)
    allowed = re.findall(r"'(\w+)'", stated)
    assert tuple(JobStatus(status) for status in allowed) == sources_of(transition)
    (target,) = re.findall(r"(?<!\w)status = '(\w+)'", assignments)
    assert JobStatus(target) is after(sources_of(transition)[0], transition)


#: A claim has no fence yet, an expiry is nobody's write; a cancellation ends whoever's claim there is.
UNFENCED = ("claim", "expire", "cancel", "hand_back")


@pytest.mark.parametrize("name", [name for name in STATEMENTS if not any(part in name for part in UNFENCED)])
def test_write_after_a_claim_carries_its_fence(name: str) -> None:
    _, guard = update_of(STATEMENTS[name][0])
    assert re.search(r"id = \$1 AND fence = \$2", guard)


@pytest.mark.parametrize("table", [leases.JOBS, leases.DELIVERIES], ids=lambda table: table.table)
@pytest.mark.parametrize("name", ["_renew", "_run_out", "_hand_back"])
def test_lease_is_written_by_its_holder_only(table: leases.Leases, name: str) -> None:
    assert "claimed_by = $2" in getattr(table, name)._prepare
    assert "status = 'processing'" in getattr(table, name)._prepare


def test_every_statement_that_sets_a_status_is_checked_here() -> None:
    """Of all modules of ``repositories``, and of all tables of work."""
    checked = {id(statement) for statement, _ in STATEMENTS.values()}
    # A try of a delivery ends as its verdict says: the status is a parameter, guarded all the same.
    checked.add(id(deliveries._END))
    assert "status = 'processing'" in update_of(deliveries._END)[1]
    assert "fence = $2" in update_of(deliveries._END)[1]
    # A delivery may end before its first claim: its receiver is out of the question.
    for statement in (held_deliveries._EXPIRE, held_deliveries._SKIP):
        checked.add(id(statement))
        assert "d.status = 'queued' AND d.run_at IS NULL" in spaced(statement)
    setting = [statement for statement in statements() if SETS_STATUS.search(spaced(statement))]
    assert len(setting) >= len(STATEMENTS)
    assert [each._prepare for each in setting if id(each) not in checked] == []


#: Between SET and the end of its clause; not a guard in a WHERE, which also reads ``status = …``.
SETS_STATUS = re.compile(r"UPDATE (?:jobs|deliveries)\b(?: \w+)? SET (?:(?! WHERE | FROM ).)*?(?<![\w.])status =")


def statements() -> Iterator[Prepared]:
    for found in pkgutil.iter_modules(repositories.__path__):
        for value in vars(importlib.import_module(f"{repositories.__name__}.{found.name}")).values():
            if isinstance(value, Prepared):
                yield value
            elif type(value).__module__.startswith(repositories.__name__):
                yield from (each for each in vars(value).values() if isinstance(each, Prepared))


def test_no_job_or_delivery_is_given_a_status_but_by_these_statements() -> None:
    """Not through the ORM, and not by SQL elsewhere: what is not in ``repositories`` writes no status."""
    wrong = []
    for path in Path(pixmill_shared.__file__).parents[3].glob("*/src/**/*.py"):
        source = path.read_text()
        # A migration fills columns of its own.
        if "migrations" not in path.parts and ("repositories" not in path.parts or path.name == "job_views.py"):
            wrong += [f"{path.name}: {line}" for line in source.splitlines() if WRITES.search(line)]
    assert wrong == []


#: An UPDATE in SQL, one of SQLAlchemy's, or an attribute of a loaded row.
WRITES = re.compile(r"UPDATE (?:jobs|deliveries)\b|update\((?:Job|Delivery)\)|\b(?:job|delivery|row)\.status = ")


def spaced(statement: Prepared) -> str:
    return re.sub(r"\s+", " ", statement._prepare)
