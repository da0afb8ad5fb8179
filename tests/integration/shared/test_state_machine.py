"""Any interleaving of what may happen to jobs, on the real statements, against a model that knows the table only.

Workers here are immortal and forgetful: a claim that was ever made may be written under at any later time, a message
that was ever published may arrive at any time, twice, or never. Time is what the rows say: the test moves their times
instead of waiting, forth and back, as a clock that is set does.

``STATE_MACHINE_EXAMPLES=2000`` makes it long.
"""

import datetime
import os
import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text
from sqlalchemy.orm import Session
from tests.integration.shared.test_repositories import made

from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.kinds import Kind
from pixmill_shared.dispatcher.outlets import Message
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import (
    STAGE_TASKS,
    TERMINAL,
    TRANSITIONS,
    CancelOutcome,
    JobStatus,
    Stage,
    Transition,
    after,
)
from pixmill_shared.errors import TransientError
from pixmill_shared.repositories import batches, jobs, reservations
from pixmill_shared.repositories.leases import JOBS as LEASES
from pixmill_shared.repositories.work import Due
from pixmill_shared.runtime import Runtime
from pixmill_shared.service.failures import record_failure
from pixmill_shared.settings.work import WorkSettings

T = TypeVar("T")

EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "8"))
STEPS = 40
MOST_JOBS = 3  # at the same time
LEASE = 60.0
NO_LEASE = 600.0  # what has longer had its lease before the clock was set back: the recovery shortens it
RETRY_AFTER = 60.0
MAX_ATTEMPTS = 2
MANY = 1000
WINDOW = 2
KEY = "a rendition that several of them need"
STAGES = {task.value: stage for stage, task in STAGE_TASKS.items()}

#: What happens, as often as it stands here.
ACTIONS = [
    *["message_arrives"] * 12,
    *["submit", "recover", "clock_jumps", "fails_for_now"] * 4,
    *["submit_batch"] * 3,
    *["goes_on_to_render", "process_dies_noticed", "waits_for_another", "hands_back"] * 2,
    *["dispatch", "dispatch_side_by_side", "dispatch_and_die", "reserves", "renews"],
    *["completes", "fails_for_good", "cancels", "cancels_batch"],
]

#: Every change of a status, seen by the database itself.
WATCH = """
CREATE TABLE seen (job_id uuid, old text, new text, old_fence bigint, new_fence bigint);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen VALUES (new.id, old.status, new.status, old.fence, new.fence);
  RETURN NULL;
END $$;
CREATE TRIGGER see AFTER UPDATE ON jobs FOR EACH ROW
WHEN (old.status <> new.status OR old.fence <> new.fence) EXECUTE FUNCTION see();
"""
FACTS = """
SELECT j.id, j.status, j.stage, j.fence, j.attempts, j.run_at IS NOT NULL AS delayed, j.waits_for, j.sequence,
       j.lease_until IS NOT NULL AS leased, j.finished_at IS NOT NULL AS finished,
       ARRAY(SELECT e.type FROM job_events e WHERE e.job_id = j.id) AS events,
       (SELECT count(*) FROM deliveries d WHERE d.job_id = j.id) AS deliveries,
       (SELECT count(*) FROM outputs o WHERE o.job_id = j.id) AS outputs,
       (SELECT count(*) FROM dead_letters l WHERE l.payload->>'job_id' = j.id::text) AS letters
FROM jobs j WHERE j.id = ANY(CAST(:ids AS uuid[]))
"""
BATCHES = """
SELECT b.id, b.status, b.total, b.completed, b.failed, b.canceled, b.finished_at IS NOT NULL AS finished,
       ARRAY(SELECT ARRAY[d.event_type, d.data->>'status', d.data->'counts'->>'completed']
             FROM deliveries d WHERE d.event_id = b.id) AS told
FROM batches b
"""
SHIFT = """
WITH held AS (UPDATE rendition_reservations SET lease_until = lease_until - make_interval(secs => :by))
UPDATE jobs SET lease_until = lease_until - make_interval(secs => :by), run_at = run_at - make_interval(secs => :by),
                dispatched_at = dispatched_at - make_interval(secs => :by)
WHERE status IN ('queued', 'processing')
"""


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=4)
    with database.session_scope() as session:
        session.execute(text(WATCH))
    yield database
    database.dispose()


@dataclass
class Modelled:
    """What a job should be. Times are the model's own: seconds that the rows were moved by so far."""

    stage: Stage | None
    hook: bool
    status: JobStatus = JobStatus.QUEUED
    fence: int = 0
    attempts: int = 0
    due: float | None = None
    lease: float = 0.0
    letters: int = 0
    waiting: bool = False
    batch: uuid.UUID | None = None

    def becomes(self, transition: Transition) -> None:
        self.status = after(self.status, transition)
        self.waiting = False
        self.due = None
        if self.status in TERMINAL:
            self.stage = None


@dataclass
class Claim:
    """One that was made, whether it still holds or not."""

    job: jobs.ClaimedJob
    stage: Stage
    holder: str


SETTINGS = WorkSettings(lease=LEASE, max_attempts=MAX_ATTEMPTS, window=WINDOW, redispatch_after=30)


class Crash(Exception):
    """A dispatcher dies between its publishing and its commit."""


class Collecting(Dispatcher):
    """The real one, but for the broker. ``meanwhile`` runs between taking and committing. ``inline``: it takes as who
    works in its own process."""

    def __init__(self, database: Database, inline: bool) -> None:
        runtime = Runtime()
        runtime.__dict__["database"] = database
        runtime.__dict__["work"] = SETTINGS
        super().__init__(runtime, self)
        self.errors = ()
        self.inline = inline
        self.sent: list[Message] = []
        self.meanwhile: Any = lambda: None

    def take(self, session: Session, kind: Kind) -> list[Due]:
        if self.inline:
            return kind.work.take_now(session, kind.queues, SETTINGS.window, SETTINGS.window)
        return kind.work.take_due(session, kind.queues, SETTINGS.window)

    def publish(self, messages: Sequence[Message]) -> None:
        # As they were submitted, not by their random ids: or a failure could not be shown a second time.
        self.sent += sorted(messages, key=lambda message: str(message.payload))
        self.meanwhile()

    def disconnect(self) -> None:
        """Nothing is open."""


@dataclass
class World:
    """Shared by the rules of one example."""

    jobs: dict[uuid.UUID, Modelled] = field(default_factory=dict)
    #: By id, whether one of its items was rejected.
    batches: dict[uuid.UUID, bool] = field(default_factory=dict)
    claims: list[Claim] = field(default_factory=list)
    now: float = 0.0
    holders: int = 0


class Machine(RuleBasedStateMachine):
    """Each method is one thing that may happen; the model says what it must have changed."""

    def __init__(self, database: Database, inline: bool) -> None:
        super().__init__()
        self.database = database
        self.world = World()
        self.dispatcher = Collecting(database, inline)
        self.sound = True

    @initialize(rng=st.randoms(use_true_random=True))
    def first_job(self, rng: random.Random) -> None:
        self.rng = rng
        self.submit(rng.randrange(MANY))

    @rule()
    def happens(self) -> None:
        """Hypothesis decides how often. Were it to choose what, it would leave out half in each example and repeat the
        rest, and little would ever happen."""
        action, which = self.rng.choice(ACTIONS), self.rng.randrange(MANY)
        note(f"{action}({which})")
        getattr(self, action)(which)

    # --- submission and dispatch

    def submit(self, which: int) -> None:
        if sum(job.status not in TERMINAL for job in self.world.jobs.values()) >= MOST_JOBS:
            return
        url, hook, later = bool(which & 1), bool(which & 2), which % 8 == 7
        stage = Stage.FETCH if url else Stage.RENDER
        wanted = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=90)
        new = jobs.NewJob(
            project="p",
            stage=stage,
            queue=QueueName.FETCH if url else QueueName.IMAGING,
            priority=1,
            source={},
            recipe={"outputs": []},
            webhook_url="https://example.com/hook" if hook else None,
            run_at=wanted if later else None,
        )
        with self.database.session_scope() as session:
            job_id = jobs.insert(session, new)
        self.world.jobs[job_id] = Modelled(stage, hook, due=self.world.now + 90 if later else None)

    def submit_batch(self, which: int) -> None:
        """Of two jobs, which end as they like."""
        if sum(job.status not in TERMINAL for job in self.world.jobs.values()) >= MOST_JOBS - 1:
            return
        url, rejected = bool(which & 1), bool(which & 2)
        batch = batches.NewBatch(
            *(new_id(), "p", 2, 1),
            rejected=[{"index": 2, "errors": []}] if rejected else [],
            webhook_url="https://example.com/batch",
        )
        key = None if url else "uploads/u"
        items = [batches.NewItem(new_id(), index, 0, {}, source_key=key) for index in range(2)]
        with self.database.session_scope() as session:
            batches.insert(session, batch, items, [{"outputs": []}])
        self.world.batches[batch.id] = rejected
        for item in items:
            stage = Stage.FETCH if url else Stage.RENDER
            self.world.jobs[item.id] = Modelled(stage, hook=False, batch=batch.id)

    def dispatch(self, _which: int = 0) -> None:
        self.check_taken(self.dispatcher, self.dispatcher.pass_over)

    def dispatch_side_by_side(self, _which: int = 0) -> None:
        """A second one makes a whole pass while the first has published and not committed."""
        other = Collecting(self.database, not self.dispatcher.inline)
        first, self.dispatcher.meanwhile = len(self.dispatcher.sent), other.pass_over
        self.dispatcher.pass_over()
        self.dispatcher.meanwhile = lambda: None
        ours, theirs = self.job_ids(self.dispatcher.sent[first:]), self.job_ids(other.sent)
        assert len({*ours, *theirs}) == len(ours) + len(theirs), "published twice"
        self.dispatcher.sent += other.sent

    def dispatch_and_die(self, _which: int = 0) -> None:
        """The messages are out, and their rows know nothing of it."""

        def die() -> None:
            raise Crash

        self.dispatcher.meanwhile = die
        try:
            self.dispatcher.pass_over()
        except Crash:
            pass
        finally:
            self.dispatcher.meanwhile = lambda: None

    def recover(self, _which: int = 0) -> None:
        self.dispatcher.recover()
        for job in self.world.jobs.values():
            if job.status is JobStatus.QUEUED and job.due is not None and job.due <= self.world.now:
                job.due = None
            if job.status is JobStatus.PROCESSING and job.lease > self.world.now + NO_LEASE:
                job.lease = self.world.now + LEASE
            if job.status is JobStatus.PROCESSING and job.lease < self.world.now:
                if job.attempts < MAX_ATTEMPTS:
                    job.becomes(Transition.LOSE_LEASE)
                else:
                    job.becomes(Transition.FAIL)
                    job.letters += 1

    def clock_jumps(self, which: int) -> None:
        self.shift((100.0, -100.0, 100.0, 3600.0, -3600.0)[which % 5])

    def shift(self, by: float) -> None:
        with self.database.session_scope() as session:
            session.execute(text(SHIFT), {"by": by})
        self.world.now += by

    # --- workers

    def message_arrives(self, which: int) -> None:
        """One that is due, or any that was ever published: late, again, of a stage that is over."""
        waiting = [job for job in self.world.jobs.values() if job.status is JobStatus.QUEUED and job.due is None]
        if waiting and not any(self.claimable(*message) for message in self.messages(self.dispatcher.sent)):
            self.dispatch()
        messages = self.messages(self.dispatcher.sent)
        messages = self.preferred(which, messages, lambda each: self.claimable(*each))
        if not messages:
            return
        job_id, stage = messages[which % len(messages)]
        self.world.holders += 1
        holder = f"worker {self.world.holders}"
        with self.database.session_scope() as session:
            claimed = jobs.claim(session, job_id, stage, holder, LEASE)
        job = self.world.jobs[job_id]
        assert (claimed is not None) == self.claimable(job_id, stage)
        if claimed:
            job.becomes(Transition.CLAIM)
            job.fence, job.attempts, job.lease = job.fence + 1, job.attempts + 1, self.world.now + LEASE
            assert (claimed.fence, claimed.attempts) == (job.fence, job.attempts)
            self.world.claims.append(Claim(claimed, stage, holder))

    def completes(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                row = made(key=f"of {claim.job.id}")
                kept = jobs.complete(session, claim.job, found={}, sha256="s", made=[row])
            self.ended(claim, kept is not None, Transition.COMPLETE)

    def fails_for_good(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                written = jobs.fail(session, claim.job.id, claim.job.fence, {"code": "undecodable"})
            self.ended(claim, written, Transition.FAIL)

    def fails_for_now(self, which: int) -> None:
        claim = self.any_claim(which)
        if not claim:
            return
        error = TransientError(ErrorCode.SOURCE_TIMEOUT, "The source took too long.", retry_after=RETRY_AFTER)
        with self.database.session_scope() as session:
            outcome = record_failure(session, claim.job, STAGE_TASKS[claim.stage], error, settings=SETTINGS)
        used_up = claim.job.attempts >= MAX_ATTEMPTS
        holds = self.ended(claim, outcome != "lost", Transition.FAIL if used_up else Transition.RETRY)
        if holds:
            assert outcome == ("failed" if used_up else "retried")
            job = self.world.jobs[claim.job.id]
            job.letters += used_up
            job.due = None if used_up else self.world.now + RETRY_AFTER

    def goes_on_to_render(self, which: int) -> None:
        claim = self.any_claim(which)
        if not claim or claim.stage is not Stage.FETCH:
            return
        with self.database.session_scope() as session:
            written = jobs.advance(
                session,
                claim.job,
                stage=Stage.RENDER,
                queue=QueueName.IMAGING,
                source_key="k",
                source_sha256="s",
                found={},
                progress=30,
            )
        if self.ended(claim, written, Transition.ADVANCE):
            job = self.world.jobs[claim.job.id]
            job.stage, job.attempts = Stage.RENDER, 0

    def reserves(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                got = reservations.reserve(session, claim.job.id, claim.job.fence, {KEY})
            assert not got or self.holds(claim)

    def waits_for_another(self, which: int) -> None:
        claim = self.any_claim(which)
        if not claim:
            return
        with self.database.session_scope() as session:
            written = jobs.wait(session, claim.job, KEY)
        if self.ended(claim, written, Transition.RELEASE):
            job = self.world.jobs[claim.job.id]
            job.attempts, job.waiting = max(job.attempts - 1, 0), True

    def hands_back(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                written = LEASES.hand_back(session, claim.job.id, claim.holder)
            if self.ended(claim, written, Transition.RELEASE):
                job = self.world.jobs[claim.job.id]
                job.attempts = max(job.attempts - 1, 0)

    def renews(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                renewed = LEASES.renew(session, [claim.job.id], claim.holder, LEASE)
                assert jobs.is_claimed(session, claim.job.id, claim.job.fence) == self.holds(claim)
            assert renewed == self.holds(claim)
            if renewed:
                self.world.jobs[claim.job.id].lease = self.world.now + LEASE

    def process_dies_noticed(self, which: int) -> None:
        if claim := self.any_claim(which):
            with self.database.session_scope() as session:
                noticed = LEASES.run_out(session, claim.job.id, claim.holder)
            assert noticed == self.holds(claim)
            if noticed:
                self.world.jobs[claim.job.id].lease = self.world.now - 0.001

    # --- people

    def cancels(self, which: int) -> None:
        project = "p" if which % 5 else "another"
        job_id = list(self.world.jobs)[which % len(self.world.jobs)]
        job = self.world.jobs[job_id]
        with self.database.session_scope() as session:
            outcome = jobs.cancel(session, job_id, project)
        if project != "p":
            assert outcome is CancelOutcome.NOT_FOUND
        elif job.status is JobStatus.CANCELED:
            assert outcome is CancelOutcome.ALREADY_CANCELED
        elif job.status in TERMINAL:
            assert outcome is CancelOutcome.FINISHED
        else:
            assert outcome is CancelOutcome.CANCELED
            job.becomes(Transition.CANCEL)

    def cancels_batch(self, which: int) -> None:
        project = "p" if which % 5 else "another"
        if not self.world.batches:
            return
        batch_id = list(self.world.batches)[which % len(self.world.batches)]
        with self.database.session_scope() as session:
            canceled = batches.cancel(session, batch_id, project)
        living = [job for job in self.jobs_of(batch_id) if job.status not in TERMINAL and project == "p"]
        assert canceled == len(living)
        for job in living:
            job.becomes(Transition.CANCEL)

    # --- what must be true

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        self.sound = False
        for job_id, row in self.rows().items():
            job = self.world.jobs[job_id]
            if job.waiting and job.status is JobStatus.QUEUED:
                # Whoever held the rendition may have woken it, at any time.
                job.due = None if not row["delayed"] else self.world.now + 10 if job.due is None else job.due
            over = job.status in TERMINAL
            assert row["status"] == job.status
            assert row["stage"] == job.stage
            assert (row["fence"], row["attempts"]) == (job.fence, job.attempts)
            assert row["delayed"] == (job.due is not None)
            assert row["leased"] == (job.status is JobStatus.PROCESSING)
            assert row["finished"] == over
            assert row["events"] == ([f"job.{job.status}"] if over else [])
            # The one output of a completed job has a number too.
            assert row["sequence"] == over + (job.status is JobStatus.COMPLETED)
            assert row["deliveries"] == (over and job.hook)
            assert row["outputs"] == (job.status is JobStatus.COMPLETED)
            assert row["letters"] == job.letters
        self.batches_count_their_jobs()
        self.sound = True

    def batches_count_their_jobs(self) -> None:
        with self.database.session_scope() as session:
            rows = {row["id"]: row for row in session.execute(text(BATCHES)).mappings()}
        assert rows.keys() == self.world.batches.keys()
        for batch_id, row in rows.items():
            statuses = [job.status for job in self.jobs_of(batch_id)]
            counts = {status.value: statuses.count(status) for status in TERMINAL}
            assert {name: row[name] for name in counts} == counts
            over = sum(counts.values()) == 2
            assert row["finished"] == over
            assert row["status"] == (self.ending_of(batch_id, counts) if over else "processing")
            assert row["told"] == ([["batch.completed", row["status"], str(row["completed"])]] if over else [])

    def ending_of(self, batch_id: uuid.UUID, counts: dict[str, int]) -> str:
        if counts["completed"] == 2 and not self.world.batches[batch_id]:
            return "completed"
        if counts["completed"]:
            return "partially_completed"
        return "failed" if counts["failed"] else "canceled"

    def jobs_of(self, batch_id: uuid.UUID) -> list[Modelled]:
        return [job for job in self.world.jobs.values() if job.batch == batch_id]

    def teardown(self) -> None:
        try:
            if self.sound:
                self.drive_to_the_end()
                self.check_what_was_seen()
        finally:
            with self.database.session_scope() as session:
                session.execute(text("DELETE FROM jobs; DELETE FROM renditions; DELETE FROM dead_letters"))
                session.execute(text("DELETE FROM deliveries; DELETE FROM batches"))
                session.execute(text("DELETE FROM seen; DELETE FROM dispatch_marks"))

    def drive_to_the_end(self) -> None:
        """From wherever it is, a healthy system brings every job to its end."""
        for _ in range(3 * MAX_ATTEMPTS):
            if all(job.status in TERMINAL for job in self.world.jobs.values()):
                break
            self.shift(48 * 3600.0)
            self.recover()
            self.rows_are_what_the_model_says()
            for _ in self.world.jobs:
                self.message_arrives(1)
                self.completes(1)
            self.rows_are_what_the_model_says()
        assert all(job.status in TERMINAL for job in self.world.jobs.values())
        for late in (self.completes, self.fails_for_good, self.fails_for_now, self.hands_back, self.renews):
            late(self.rng.randrange(MANY))
        self.rows_are_what_the_model_says()

    def check_what_was_seen(self) -> None:
        allowed = {(source, target) for (source, _), target in TRANSITIONS.items()}
        with self.database.session_scope() as session:
            rows = session.execute(text("SELECT old, new, old_fence, new_fence FROM seen")).all()
        for row in rows:
            assert (row.old, row.new) in allowed
            claimed = (row.old, row.new) == (JobStatus.QUEUED, JobStatus.PROCESSING)
            assert row.new_fence == row.old_fence + claimed
        ends = [row for row in rows if row.new in TERMINAL]
        assert len(ends) == len(self.world.jobs)

    # --- for the rules

    def rows(self) -> dict[uuid.UUID, Any]:
        with self.database.session_scope() as session:
            found = session.execute(text(FACTS), {"ids": [str(job_id) for job_id in self.world.jobs]})
            rows = {row["id"]: row for row in found.mappings()}
        assert set(rows) == set(self.world.jobs)
        return rows

    def any_claim(self, which: int) -> Claim | None:
        claims = self.preferred(which, self.world.claims, self.holds)
        if not which % 4:
            claims = [each for each in claims if self.superseded(each)] or claims
        return claims[which % len(claims)] if claims else None

    def preferred(self, which: int, given: list[T], living: Callable[[T], bool]) -> list[T]:
        """For most numbers those that live, if there are any: or nearly everything would happen too late."""
        return [each for each in given if which % 4 and living(each)] or given

    def superseded(self, claim: Claim) -> bool:
        """The job is worked on, and not under this claim: what is written now would harm."""
        job = self.world.jobs[claim.job.id]
        return job.status is JobStatus.PROCESSING and job.fence != claim.job.fence

    def claimable(self, job_id: uuid.UUID, stage: Stage) -> bool:
        job = self.world.jobs[job_id]
        return job.status is JobStatus.QUEUED and job.stage is stage and job.due is None

    def holds(self, claim: Claim) -> bool:
        job = self.world.jobs[claim.job.id]
        return job.status is JobStatus.PROCESSING and job.fence == claim.job.fence

    def ended(self, claim: Claim, written: bool, transition: Transition) -> bool:
        """The write must have been made if and only if the claim held."""
        holds = self.holds(claim)
        assert written == holds
        if holds:
            self.world.jobs[claim.job.id].becomes(transition)
        return holds

    def check_taken(self, dispatcher: Collecting, action: Any) -> None:
        before = len(dispatcher.sent)
        action()
        for job_id in self.job_ids(dispatcher.sent[before:]):
            job = self.world.jobs[job_id]
            assert job.status is JobStatus.QUEUED
            assert job.due is None

    def job_ids(self, messages: list[Message]) -> list[uuid.UUID]:
        return [job_id for job_id, _ in self.messages(messages)]

    def messages(self, sent: list[Message]) -> list[tuple[uuid.UUID, Stage]]:
        """Those of jobs."""
        return [
            (uuid.UUID(message.payload["job_id"]), STAGES[message.task.value])
            for message in sent
            if message.task.value in STAGES
        ]


@pytest.mark.timeout(180 + 10 * EXAMPLES)
@pytest.mark.parametrize("inline", [False, True], ids=["through a broker", "inline"])
def test_every_interleaving_ends_every_job_once(database: Database, inline: bool) -> None:
    run_state_machine_as_test(
        lambda: Machine(database, inline),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=EXAMPLES <= 100,
            database=None,
            deadline=None,
            phases=[Phase.generate],  # what fails is not looked for in a smaller form: each try takes a second
            suppress_health_check=list(HealthCheck),
        ),
    )
