"""Jobs that generate, where workers overtake each other and the storage fails: nothing is lost, mixed or paid twice."""

import random
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from sqlalchemy import text
from tests.integration.imaging.studio import Easel, clean_easel, painter
from tests.waiting import eventually

from pixmill_imaging.providers.protocol import Picture, Subject, Unavailable
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.events import EventType
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.dispatcher.dispatch import Dispatcher
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.dispatcher.outlets import BrokerOutlet
from pixmill_shared.domain.backoff import exponential
from pixmill_shared.errors import TransientError
from pixmill_shared.repositories import chunks
from pixmill_shared.repositories.chunks import Result
from pixmill_shared.service.exhaustion import give_up_chunk
from pixmill_shared.service.failures import record_chunk_failure
from pixmill_shared.settings.work import WorkSettings
from pixmill_shared.storage import StorageUnavailable


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=8)
    yield database
    database.dispose()


@pytest.fixture
def easel(database: Database, tmp_path: Path) -> Easel:
    return clean_easel(database, tmp_path)


def objects(easel: Easel) -> list[str]:
    return [info.key for info in easel.store.list("renditions/")]


def named_by(easel: Easel, job_id: uuid.UUID) -> str:
    query = "SELECT r.storage_key FROM outputs o JOIN renditions r ON r.id = o.rendition_id WHERE o.job_id"
    return str(easel.scalar(f"{query} = '{job_id}'"))


def test_a_job_ends_with_its_last_chunk_though_all_items_were_there_before(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", size=1)
    claimed = []
    for chunk_id in easel.due():
        with easel.database.session_scope() as session:
            chunk = chunks.claim(session, chunk_id, "w", 60)
            assert chunk is not None
            claimed.append(chunk)
    for chunk in claimed:
        with easel.database.session_scope() as session:
            assert chunks.hold(session, chunk)
            (item,) = chunks.unfinished(session, chunk)
            chunks.finish_item(session, chunk, item, Result(success=True, provider="painter"))
    for chunk in claimed:
        with easel.database.session_scope() as session:
            assert chunks.hold(session, chunk), "the other one has not ended it"
            chunks.finish(session, chunk)
    made = easel.generation(job_id)
    assert (easel.job(job_id).status, made.finished_chunks, made.total_chunks) == ("completed", 2, 2)
    assert easel.scalar("SELECT array_agg(DISTINCT status) FROM generation_chunks") == ["completed"]
    kinds = [event.type for event in easel.events(job_id)]
    assert kinds[2:] == [EventType.JOB_PROGRESS, EventType.JOB_PROGRESS, EventType.JOB_COMPLETED]


def test_a_picture_whose_object_is_gone_is_drawn_again(easel: Easel) -> None:
    easel.submit("Tea")
    easel.work_off()
    lost = objects(easel)
    easel.store.delete(lost[0])
    job_id = easel.submit("Tea")
    easel.work_off()
    assert painter(easel).drawn == ["Tea", "Tea"]
    assert objects(easel) == [named_by(easel, job_id)]
    assert easel.items(job_id)[0].success


def test_a_placeholder_whose_object_is_gone_is_there_again_for_all_who_have_it(easel: Easel) -> None:
    easel.real = Unavailable(ErrorCode.PROVIDER_UNAVAILABLE, "There is no key.")
    first = easel.submit("Tea")
    easel.work_off()
    easel.store.delete(objects(easel)[0])
    second = easel.submit("Tea")
    easel.work_off()
    assert objects(easel) == [named_by(easel, first)] == [named_by(easel, second)]


def test_while_nothing_can_be_stored_no_picture_is_paid_for_again_and_again(
    easel: Easel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageUnavailable

    with monkeypatch.context() as away:
        away.setattr(easel.store, "put", full)
        job_id = easel.submit("Tea", "Soup")
        for _ in range(5):
            for chunk_id in easel.due():
                easel.run(chunk_id)
            easel.ripen()
        assert painter(easel).drawn == ["Tea"]
    easel.work_off()
    assert easel.job(job_id).status == "completed"
    assert painter(easel).drawn == ["Tea", "Tea", "Soup"]
    assert easel.generation(job_id).cost == 3 * 40_000


def test_no_item_is_tried_again_before_its_time_because_another_one_may_be(easel: Easel) -> None:
    def shaky(number: int, _subject: Subject) -> Picture | None:
        if number <= 2:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 500.")
        return None

    painter(easel).does = shaky
    easel.submit("Tea", "Soup")
    clock = "SELECT extract(epoch FROM clock_timestamp())::float8"
    before = easel.scalar(clock)
    easel.run(easel.due()[0])
    again, after = easel.scalar("SELECT extract(epoch FROM run_at)::float8 FROM generation_chunks"), easel.scalar(clock)
    # By the random numbers of the studio, the first may be tried again after 0.27 s, and the second after 1.7 s.
    dice = random.Random(1)
    delays = [exponential(1, None, dice) for _ in range(2)]
    assert delays[0] + 1 < delays[1]
    assert before + delays[1] - 1e-3 <= again <= after + delays[1] + 1e-3
    assert easel.scalar("SELECT error->>'detail' FROM generation_chunks") == "HTTP 500."


def test_a_clock_that_was_set_back_stops_nobody_for_longer_than_a_provider_may(easel: Easel) -> None:
    easel.submit("Tea")
    easel.work_off()
    with easel.database.session_scope() as session:
        session.execute(text("UPDATE provider_meters SET next_at = now() + interval '1 day'"))
    easel.submit("Soup")
    easel.run(easel.due()[0])
    waits = easel.scalar("SELECT max(extract(epoch FROM run_at - now())) FROM generation_chunks")
    assert 500 < waits <= 600


def test_two_pictures_of_one_prompt_are_not_mixed_in_one_item(easel: Easel, monkeypatch: pytest.MonkeyPatch) -> None:
    def output(name: str, width: int) -> dict[str, object]:
        return {"name": name, "format": "png", "operations": [{"op": "resize", "width": width}]}

    large, small, tiny = output("large", 30), output("small", 20), output("tiny", 10)

    put, puts = easel.store.put, []

    def overtaken(name: str, data: bytes, media_type: str) -> None:
        puts.append(name)
        if len(puts) == 1:
            easel.submit("Tea", recipe={"outputs": [small, tiny]})
            easel.run(easel.due()[0])
        put(name, data, media_type)

    monkeypatch.setattr(easel.store, "put", overtaken)
    job_id = easel.submit("Tea", recipe={"outputs": [large, small]})
    easel.work_off()
    assert easel.job(job_id).status == "completed"
    sources = f"""
        SELECT count(DISTINCT r.source_facts->>'sha256') FROM outputs o JOIN renditions r ON r.id = o.rendition_id
        WHERE o.job_id = '{job_id}'"""
    assert easel.scalar("SELECT count(*) FROM outputs") == 4
    assert easel.scalar(sources) == 1
    assert len(objects(easel)) == 4, "small twice: of one picture each"


def test_more_workers_than_a_window_are_no_reason_to_publish_more_than_may_work_or_twice(easel: Easel) -> None:
    easel.submit(*(f"Dish {number}" for number in range(40)), size=1, at_once=40)
    kind = next(each for each in KINDS if each.work is chunks.WORK)
    easel.runtime.__dict__["work"] = settings = WorkSettings(window=2, image_workers=20)
    dispatcher = Dispatcher(easel.runtime, BrokerOutlet(Celery(), settings), [kind])

    def due() -> int:
        with easel.database.session_scope() as session:
            return len(dispatcher.outlet.take(session, kind))

    assert due() == 20
    assert due() == 0
    with easel.database.session_scope() as session:
        session.execute(text("UPDATE generation_chunks SET dispatched_at = dispatched_at - interval '5 s'"))
    dispatcher.recover()
    assert easel.scalar("SELECT count(*) FROM generation_chunks WHERE dispatched_at IS NOT NULL") == 20
    assert due() == 0


def test_messages_that_were_late_make_no_more_work_at_once_than_there_may_be(easel: Easel) -> None:
    easel.submit("Tea", "Soup", "Rice", size=1, priority=2)
    late = easel.due(3)
    with easel.database.session_scope() as session:
        session.execute(text("UPDATE generation_chunks SET dispatched_at = now() - interval '31 s'"))
        assert chunks.WORK.forget_lost(session, [QueueName.GENERATE], 30, 32) == 3
    easel.submit("Salad", "Edamame", "Cake", size=1, priority=0)
    urgent = easel.due(3)

    def claimed(ids: list[uuid.UUID]) -> int:
        with easel.database.session_scope() as session:
            return sum(chunks.claim(session, chunk_id, "w", 60) is not None for chunk_id in ids)

    assert (claimed(late), claimed(urgent)) == (0, 3)
    assert easel.scalar("SELECT count(*) FROM jobs WHERE status = 'processing'") == 1


def test_a_message_that_is_there_before_it_is_known_to_be_published_is_waited_for(easel: Easel) -> None:
    easel.submit("Tea")
    found: list[object] = []

    def early() -> None:
        with easel.database.session_scope() as session:
            found.append(chunks.claim(session, chunk_id, "w", 60))

    with easel.database.session_scope() as session:
        (chunk_id,) = [row.id for row in chunks.WORK.take_due(session, [QueueName.GENERATE], 32)]
        worker = threading.Thread(target=early)
        worker.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: easel.scalar(waits) > 0, within=60)
    worker.join(60)
    assert found
    assert found[0] is not None


def test_chunk_that_raised_once_and_then_died_each_time_leaves_what_it_raised_in_the_letter(easel: Easel) -> None:
    easel.submit("Tea")
    (chunk_id,) = easel.due()
    with easel.database.session_scope() as session:
        claimed = chunks.claim(session, chunk_id, "w", 60)
        assert claimed is not None
        with pytest.raises(TransientError) as raised:
            raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, "The storage did not answer.")
        assert record_chunk_failure(session, claimed, raised.value, settings=WorkSettings()) == "retried"
        session.execute(text("UPDATE generation_chunks SET run_at = NULL, dispatched_at = now()"))
        assert chunks.claim(session, chunk_id, "w", 60)
        session.execute(text("UPDATE generation_chunks SET lease_until = now() - interval '1 s'"))
        (row,) = chunks.WORK.exhausted(session, 2)
        give_up_chunk(session, row["id"], row["fence"])
    said = easel.scalar("SELECT traceback FROM dead_letters")
    assert said.startswith("Traceback (most recent call last)")
    assert "The storage did not answer." in said
