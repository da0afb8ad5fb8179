"""Dead letters: kept, listed, and replayed exactly once, on a real Postgres."""

import datetime
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select, text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import ApiKey, DeadLetter, Delivery, Job, JobUpload, Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import AlreadyReplayed, NotReplayable
from pixmill_shared.repositories import dead_letters, jobs
from pixmill_shared.repositories.dead_letters import Letters, RefusedItem
from pixmill_shared.service.replay import Replays, replay, replay_many

ERROR = {"code": "source_timeout", "title": "t", "detail": "d", "retryable": True}
RENDER = TaskName.RENDER_JOB


@pytest.fixture
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=16)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, uploads, dead_letters, api_keys CASCADE"))
    yield database
    database.dispose()


def failed_job(database: Database, **changes: Any) -> uuid.UUID:
    """A job that was claimed and failed, with its event, its delivery and its dead letter."""
    values: dict[str, Any] = {
        "project": "acme",
        "stage": Stage.RENDER,
        "queue": QueueName.IMAGING,
        "priority": 1,
        "source": {"upload_id": "u"},
        "recipe": {"outputs": []},
        "source_key": "uploads/u",
        "source_sha256": "abc",
        "webhook_url": "https://example.com/hook",
        "metadata": {"order": "A-17"},
        "destination": "s3://bucket/prefix",
        **changes,
    }
    with database.session_scope() as session:
        job_id = jobs.insert(session, jobs.NewJob(**values))
        claimed = jobs.claim(session, job_id, values["stage"], "worker", 60)
        assert claimed is not None
        assert jobs.fail(session, job_id, claimed.fence, ERROR)
        bury(session, values["project"], job_id)
    return job_id


def bury(session: Any, project: str, job_id: uuid.UUID) -> None:
    payload = {"job_id": str(job_id)}
    dead_letters.bury(session, project=project, task=RENDER, payload=payload, error=ERROR, attempts=3, traceback="T")


def letter_of(database: Database, job_id: uuid.UUID) -> DeadLetter:
    with database.session_scope() as session:
        return session.scalars(select(DeadLetter).where(DeadLetter.payload["job_id"].astext == str(job_id))).one()


def row(database: Database, job_id: uuid.UUID) -> Job:
    with database.session_scope() as session:
        return session.get_one(Job, job_id)


def everything(database: Database) -> tuple[int, int, int]:
    with database.session_scope() as session:
        counts = "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {}), (SELECT count(replayed_at) FROM {})"
        jobs_, deliveries_, replayed = session.execute(text(counts.format("jobs", "deliveries", "dead_letters"))).one()
    return int(jobs_), int(deliveries_), int(replayed)


def test_replayed_job_repeats_its_origin_and_begins_anew(database: Database) -> None:
    key = ApiKey(id=new_id(), project="acme", name="k", prefix="p", token_sha256=b"", webhook_secret=b"")
    upload = Upload(id=new_id(), project="acme", key="uploads/w", sha256="w", bytes=1, media_type="image/png")
    with database.session_scope() as session:
        session.add_all([key, upload])
    origin_id = failed_job(database, priority=0, queue=QueueName.IMAGING_HIGH, api_key_id=key.id)
    with database.session_scope() as session:
        session.add(JobUpload(job_id=origin_id, upload_id=upload.id))
    letter = letter_of(database, origin_id)
    with database.session_scope() as session:
        made = replay(session, letter.id, ("acme",), by="key", request_id="r-2")
    assert made is not None
    assert made.kind == "job"
    origin, repeated = row(database, origin_id), row(database, made.id)
    same = ("project", "kind", "source", "source_key", "source_sha256", "recipe", "destination", "webhook_url")
    for column in (*same, "job_metadata", "priority", "api_key_id", "queue"):
        assert getattr(repeated, column) == getattr(origin, column), column
    assert (repeated.status, repeated.stage, repeated.retry_of) == ("queued", "render", origin_id)
    assert (repeated.fence, repeated.attempts, repeated.sequence, repeated.error) == (0, 0, 0, None)
    assert (repeated.request_id, repeated.run_at, repeated.dispatched_at) == ("r-2", None, None)
    assert (origin.status, origin.retry_of) == ("failed", None)
    letter = letter_of(database, origin_id)
    assert (letter.replayed_by, letter.replayed_as) == ("key", made.id)
    assert letter.replayed_at is not None
    assert letter.replayed_at > letter.created_at
    with database.session_scope() as session:
        used = session.scalars(select(JobUpload.upload_id).where(JobUpload.job_id == made.id)).all()
    assert used == [upload.id]


@pytest.mark.parametrize(
    ("source_key", "stage", "queue"), [(None, "fetch", "fetch"), ("sources/x/1", "render", "imaging.low")]
)
def test_url_is_fetched_again_only_if_its_bytes_were_not_stored(
    database: Database, source_key: str | None, stage: str, queue: str
) -> None:
    source = {"url": "https://example.com/a.jpg"}
    changes: dict[str, Any] = {"stage": Stage.FETCH, "queue": QueueName.FETCH, "priority": 2, "source_sha256": None}
    origin_id = failed_job(database, source=source, source_key=source_key, **changes)
    with database.session_scope() as session:
        made = replay(session, letter_of(database, origin_id).id, None, by="cli:ann")
    assert made is not None
    repeated = row(database, made.id)
    assert (repeated.stage, repeated.queue, repeated.source_key) == (stage, queue, source_key)


def test_replayed_delivery_tells_of_the_same_event(database: Database) -> None:
    failed_job(database)
    with database.session_scope() as session:
        origin = session.scalars(select(Delivery)).one()
        dead_letters.bury(
            session,
            project="acme",
            task=TaskName.DELIVER_WEBHOOK,
            payload={"delivery_id": str(origin.id)},
            error={"detail": "no answer"},
            attempts=9,
        )
        session.flush()
        letter = session.scalars(select(DeadLetter).where(DeadLetter.task == TaskName.DELIVER_WEBHOOK)).one()
        made = replay(session, letter.id, ("acme",), by="key")
    assert made is not None
    assert made.kind == "delivery"
    with database.session_scope() as session:
        repeated = session.get_one(Delivery, made.id)
        for column in ("event_id", "job_id", "url", "project", "api_key_id"):
            assert getattr(repeated, column) == getattr(origin, column), column
        assert (repeated.status, repeated.queue, repeated.attempts) == ("queued", "notifier", 0)
        assert repeated.replay_of == origin.id


def test_of_eight_replays_at_once_one_makes_a_job_and_seven_are_told_which(database: Database) -> None:
    letter = letter_of(database, failed_job(database))
    made: list[uuid.UUID] = []
    told: list[uuid.UUID | None] = []
    sentences: list[str] = []
    barrier = threading.Barrier(8)

    def try_it() -> None:
        barrier.wait(60)
        try:
            with database.session_scope() as session:
                found = replay(session, letter.id, None, by="x")
            assert found is not None
            made.append(found.id)
        except AlreadyReplayed as error:
            told.append(error.made)
            sentences.append(str(error))

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(made) == 1
    assert told == made * 7
    assert all(f"as job {made[0]}, by x" in sentence for sentence in sentences)
    assert everything(database)[0] == 2


def test_replay_that_is_rolled_back_leaves_neither_a_mark_nor_a_job(database: Database) -> None:
    letter = letter_of(database, failed_job(database))
    before = everything(database)

    def dies_before_the_commit() -> None:
        with database.session_scope() as session:
            assert replay(session, letter.id, None, by="x") is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        dies_before_the_commit()
    assert everything(database) == before
    with database.session_scope() as session:
        assert replay(session, letter.id, None, by="x") is not None


def test_what_cannot_be_replayed_is_refused_with_a_sentence_and_left_alone(database: Database) -> None:
    gone = failed_job(database)
    with database.session_scope() as session:
        session.execute(text("DELETE FROM jobs"))
        dead_letters.keep_refused(session, RefusedItem(new_id(), "nobody.knows", {}, {"code": "unknown_task"}))
        dead_letters.keep_refused(session, RefusedItem(new_id(), RENDER, {}, {"code": "invalid_task"}))
    sentences = set()
    with database.session_scope() as session:
        letters = session.scalars(select(DeadLetter)).all()
    for letter in letters:
        with database.session_scope() as session, pytest.raises(NotReplayable) as refused:
            replay(session, letter.id, None, by="x")
        sentences.add(str(refused.value))
    assert len(letters) == 3
    assert {sentence.partition(".")[0] for sentence in sentences} == {
        "It came from the broker and tells of no row",
        "The job that it tells of was deleted",
    }
    assert letter_of(database, gone).replayed_at is None
    assert replay_many(database, Letters(), by="x") == Replays((), more=False)
    assert everything(database) == (0, 0, 0)


def test_letter_of_another_project_is_not_there(database: Database) -> None:
    letter = letter_of(database, failed_job(database))
    with database.session_scope() as session:
        assert replay(session, letter.id, ("other", None), by="x") is None
        assert dead_letters.find(session, letter.id, ("other", None)) is None
        assert dead_letters.find(session, letter.id, ("acme",)) is not None
    assert everything(database)[0] == 1


def test_many_are_replayed_oldest_first_within_the_bound_and_each_once(database: Database) -> None:
    made = [failed_job(database) for _ in range(7)]
    failed_job(database, project="other")
    which = Letters(("acme",), task=RENDER)
    first = replay_many(database, which, by="cli:ann", limit=4)
    assert (len(first.made), first.more) == (4, True)
    assert [row(database, each.id).retry_of for each in first.made] == made[:4]
    second = replay_many(database, which, by="cli:ann", limit=4)
    assert ([row(database, each.id).retry_of for each in second.made], second.more) == (made[4:], False)
    assert replay_many(database, which, by="cli:ann").made == ()
    assert everything(database)[0] == 8 + 7


def test_two_that_replay_many_at_once_share_the_letters(database: Database) -> None:
    for _ in range(120):
        failed_job(database, webhook_url=None)
    found: list[int] = []
    barrier = threading.Barrier(2)

    def go() -> None:
        barrier.wait(60)
        found.append(len(replay_many(database, Letters(), by="x").made))

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    left = len(replay_many(database, Letters(), by="x").made)
    assert sum(found) + left == 120
    assert everything(database) == (240, 0, 120)


def test_letters_are_chosen_by_task_time_project_and_whether_they_were_replayed(database: Database) -> None:
    old, new = letter_of(database, failed_job(database)), letter_of(database, failed_job(database, project="other"))
    hour = datetime.timedelta(hours=1)
    with database.session_scope() as session:
        session.get_one(DeadLetter, old.id).created_at = old.created_at - hour
        dead_letters.keep_refused(session, RefusedItem(new_id(), "unknown", {}, {}))
        replay(session, new.id, None, by="x")

    def found(**criteria: Any) -> list[uuid.UUID]:
        with database.session_scope() as session:
            return [letter.id for letter in dead_letters.page(session, Letters(**criteria), limit=10)]

    assert len(found()) == 3
    assert found(task=RENDER) == [new.id, old.id]
    assert found(projects=("acme",)) == [old.id]
    assert len(found(projects=("acme", None))) == 2
    assert found(projects=(None,), task="unknown") == found(task="unknown") != []
    assert found(until=old.created_at - hour / 2) == [old.id]
    assert old.id not in found(since=old.created_at - hour / 2)
    assert found(since=old.created_at - hour, until=old.created_at - hour) == []
    assert found(replayed=True) == [new.id]
    assert new.id not in found(replayed=False)


def test_item_of_the_broker_is_kept_once_however_often_it_is_told(database: Database) -> None:
    item = RefusedItem(new_id(), "unknown", {"text": "x"}, {"code": "malformed_item"})
    for _ in range(2):
        with database.session_scope() as session:
            dead_letters.keep_refused(session, item)
    with database.session_scope() as session:
        letter = session.scalars(select(DeadLetter)).one()
    assert (letter.project, letter.attempts, letter.payload) == (None, 0, {"text": "x"})
