"""All events of a project in one stream."""

import time
import uuid

from tests.integration.api.running import Api, wait_until
from tests.integration.api.streaming import Stream, complete, fail, nobody_watches, submitted, watching

from pixmill_api.progress.passes import LOOK_BACK
from pixmill_shared.domain.ids import new_id


def told_of(stream: Stream) -> list[tuple[str, str]]:
    return [(event.event, str(event.data["job_id"])) for event in stream.events]


def connected(api: Api, stream: Stream) -> None:
    """What happens from now on is told."""
    wait_until(lambda: stream.retry == 2000, "the stream has begun", 60)


def ids_of(api: Api, *jobs: str) -> list[str]:
    found = api.query("SELECT id::text FROM job_events WHERE job_id::text = ANY(%s) ORDER BY id", list(jobs))
    return [row[0] for row in found]


def test_each_end_of_a_job_is_told_with_the_id_of_its_event(api: Api) -> None:
    first, second = submitted(api), submitted(api, metadata={"n": 2})
    with watching(api, "events") as stream:
        connected(api, stream)
        complete(api, first)
        fail(api, second)
        stream.wait_for("job.failed")
        wait_until(lambda: len(stream.events) == 2, "both were told", 60)
    assert told_of(stream) == [("job.completed", first), ("job.failed", second)]
    assert [event.id for event in stream.events] == ids_of(api, first, second)
    failed = stream.events[1].data
    assert (failed["status"], failed["error"]["code"], failed["sequence"], failed["metadata"]) == (
        *("failed", "undecodable", 1),
        {"n": 2},
    )
    assert set(failed) == {"job_id", "batch_id", "status", "sequence", "error", "metadata", "at"}


def test_what_happened_before_is_not_told(api: Api) -> None:
    complete(api, submitted(api))
    with watching(api, "events") as stream:
        connected(api, stream)
        new = submitted(api)
        complete(api, new)
        stream.wait_for("job.completed")
    assert told_of(stream) == [("job.completed", new)]


def test_who_comes_back_gets_what_was_missed(api: Api) -> None:
    jobs = [submitted(api) for _ in range(3)]
    for job_id in jobs:
        complete(api, job_id)
    ids = ids_of(api, *jobs)
    with watching(api, "events", **{"Last-Event-ID": ids[0]}) as stream:
        wait_until(lambda: {ids[1], ids[2]} <= {event.id for event in stream.events}, "they came", 60)
        assert ids[0] not in [event.id for event in stream.events]
        live = submitted(api)
        complete(api, live)
        wait_until(lambda: ("job.completed", live) in told_of(stream), "what came then is told too", 60)
    got = [event.id for event in stream.events]
    assert len(got) == len(set(got))


def test_event_that_is_committed_late_is_told(api: Api) -> None:
    """Its id is older than those that came before it: they are minted before the commit."""
    with watching(api, "events") as stream:
        connected(api, stream)
        for _ in range(10):
            minted, early = time.monotonic(), str(new_id())
            time.sleep(0.01)
            job_id, other = submitted(api), submitted(api)
            complete(api, other)
            wait_until(lambda other=other: ("job.completed", other) in told_of(stream), "a later one is told", 60)
            sql = "INSERT INTO job_events (id, job_id, sequence, type) VALUES (%s, %s, 1, 'job.failed')"
            api.query(sql, early, job_id)
            # One that is committed much later than that is not looked for any more.
            if time.monotonic() - minted < LOOK_BACK / 3:
                break
        wait_until(lambda: early in [event.id for event in stream.events], "it is told", 60)


def test_other_projects_are_not_heard(api: Api) -> None:
    foreign, own = submitted(api), submitted(api)
    api.query("UPDATE jobs SET project = 'others' WHERE id = %s", foreign)
    with watching(api, "events") as stream:
        connected(api, stream)
        complete(api, foreign)
        complete(api, own)
        stream.wait_for("job.completed")
        time.sleep(1.5)  # a look at the rows
    assert told_of(stream) == [("job.completed", own)]


def test_more_than_is_replayed_begins_with_a_gap(api: Api) -> None:
    job_id = submitted(api)
    start = new_id()
    time.sleep(0.01)
    rows = [(str(new_id()), number) for number in range(1_005)]
    for number in range(0, len(rows), 201):
        values = ", ".join(
            f"('{id}', '{job_id}', {sequence}, 'job.failed')" for id, sequence in rows[number : number + 201]
        )
        api.query(f"INSERT INTO job_events (id, job_id, sequence, type) VALUES {values}")
    with watching(api, "events", **{"Last-Event-ID": str(start)}) as stream:
        wait_until(lambda: len(stream.events) >= 1_001, "they came", 60)
    assert stream.events[0].event == "gap"
    assert len(stream.events) == 1_001
    assert stream.events[-1].id == max(id for id, _ in rows)
    api.query("DELETE FROM jobs WHERE id = %s", job_id)


def test_id_that_was_never_given_out_is_older_than_all_events(api: Api) -> None:
    job_id = submitted(api)
    complete(api, job_id)
    [id] = ids_of(api, job_id)
    with watching(api, f"events?last_event_id={uuid.UUID(int=0)}") as stream:
        wait_until(lambda: id in [event.id for event in stream.events], "it came", 60)


def test_id_that_is_none_is_that_of_a_new_viewer(api: Api) -> None:
    for id in ("x", "1", str(uuid.UUID(int=2**128 - 1))):
        with watching(api, f"events?last_event_id={id}") as stream:
            connected(api, stream)
    nobody_watches(api)
