"""Chunks of jobs that generate: what becomes of each item, whatever the provider does, and whoever dies when."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from tests import gemini
from tests.gemini import KEY, Behaviour, running_gemini
from tests.integration.imaging.studio import Easel, clean_easel, painter

from pixmill_imaging.providers.gemini import GeminiProvider
from pixmill_imaging.providers.protocol import Picture, Subject, Unavailable
from pixmill_imaging.settings import GenerationSettings
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.events import EventType
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.generation import Fallback, Form
from pixmill_shared.egress import EgressClient
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.repositories import chunks, jobs
from pixmill_shared.service.exhaustion import fail_overdue, give_up_chunk
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.work import WorkSettings

DISHES = ("Edamame", "Today's Special", "枝豆", "Soup", "Salad", "Rice", "Tea")


@pytest.fixture(scope="module")
def database(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url, pool_size=4, max_overflow=8)
    yield database
    database.dispose()


@pytest.fixture
def easel(database: Database, tmp_path: Path) -> Easel:
    return clean_easel(database, tmp_path)


def refused(_number: int, subject: Subject) -> Picture | None:
    if subject.name == "Soup":
        raise PermanentError(ErrorCode.PROVIDER_REFUSED, "It said: not soup.")
    return None


def test_every_item_gets_a_picture_and_the_last_one_ends_the_job(easel: Easel) -> None:
    job_id = easel.submit(*DISHES, form=Form.MENU, webhook_url="http://x/")
    easel.work_off()
    job, items = easel.job(job_id), easel.items(job_id)
    assert (job.status, job.progress, job.stage, job.error) == ("completed", 100, None, None)
    assert [item.name for item in items] == list(DISHES)
    assert all((item.success, item.provider, item.cached) == (True, "painter", False) for item in items)
    assert sorted(painter(easel).drawn) == sorted(DISHES)
    stamp = job.created_at.strftime("%Y%m%d_%H%M%S")
    assert items[1].outputs == [f"menu_image_todays_special_{stamp}.png"]
    assert all(re.fullmatch(rf"menu_image_[a-z0-9_]{{1,30}}_{stamp}\.png", name) for i in items for name in i.outputs)
    made = easel.generation(job_id)
    assert (made.finished_items, made.real_items, made.finished_chunks, made.total_chunks) == (7, 7, 3, 3)
    assert made.cost == 7 * 40_000
    assert easel.scalar("SELECT count(*) FROM outputs") == 7
    assert easel.scalar("SELECT count(*) FROM deliveries WHERE event_type = 'job.completed'") == 1
    assert len(list(easel.store.list("renditions/"))) == 7


def test_those_who_watch_are_told_of_each_item_and_each_chunk(easel: Easel) -> None:
    job_id = easel.submit(*DISHES[:4])
    easel.work_off()
    events = easel.events(job_id)
    assert [event.sequence for event in events] == list(range(1, 8))
    kinds = [event.type for event in events]
    assert kinds.count(EventType.JOB_OUTPUT) == 4
    assert kinds.count(EventType.JOB_PROGRESS) == 2
    assert kinds[-1] == EventType.JOB_COMPLETED
    told = [event.data for event in events if event.type == EventType.JOB_PROGRESS]
    assert [each["completed_chunks"] for each in told] == [1, 2]
    assert told[-1] == {
        "progress": 99,
        "completed_chunks": 2,
        "total_chunks": 2,
        "completed_items": 4,
        "total_items": 4,
    }
    assert {event.data["item"] for event in events if event.type == EventType.JOB_OUTPUT} == {0, 1, 2, 3}


def test_a_job_has_no_more_chunks_at_once_than_its_share_and_all_jobs_no_more_than_the_workers(easel: Easel) -> None:
    easel.submit(*DISHES, size=1, at_once=2)
    first = easel.due(most=5)
    assert len(first) == 2
    assert easel.due(most=5) == []
    easel.run(first[0])
    assert len(easel.due(most=5)) == 1, "the next of the job"
    easel.submit(*DISHES, size=1, at_once=4)
    more = easel.due(most=3)
    assert len(more) == 1, "two of three are taken"
    with easel.database.session_scope() as session:
        claimed = chunks.claim(session, more[0], "w", 60)
    assert claimed is not None
    assert easel.due(most=3) == [], "a claimed one counts too"


def test_equal_prompts_of_a_job_are_drawn_once_and_counted_as_reused(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", "Tea", "Rice", "Tea", size=1)
    easel.work_off()
    assert sorted(painter(easel).drawn) == ["Rice", "Soup", "Tea"]
    items = easel.items(job_id)
    assert [item.cached for item in items] == [False, False, True, False, True]
    assert len({name for item in items for name in item.outputs}) == 5
    again = easel.submit("Tea", "Soup")
    easel.work_off()
    assert len(painter(easel).drawn) == 3
    assert easel.generation(again).cost == 0
    fresh = easel.submit("Tea", "Tea", cache=False)
    easel.work_off()
    assert painter(easel).drawn[3:] == ["Tea", "Tea"]
    assert [item.cached for item in easel.items(fresh)] == [False, False]


def test_a_refused_item_gets_a_placeholder_that_says_so(easel: Easel) -> None:
    painter(easel).does = refused
    job_id = easel.submit("Tea", "Soup", "Rice")
    easel.work_off()
    assert easel.job(job_id).status == "completed"
    soup = easel.items(job_id)[1]
    assert (soup.success, soup.provider, soup.cached) == (False, "placeholder", False)
    assert soup.error is not None
    assert (soup.error["code"], soup.error["detail"]) == ("provider_refused", "It said: not soup.")
    assert len(soup.outputs) == 1
    made = easel.generation(job_id)
    assert (made.real_items, made.finished_items, made.cost) == (2, 3, 80_000), "a refused call costs nothing"
    assert len(painter(easel).drawn) == 3, "what is refused is not asked for again"


def test_a_job_that_wants_to_fail_does_at_the_first_refusal_and_keeps_what_is_there(easel: Easel) -> None:
    painter(easel).does = refused
    job_id = easel.submit("Tea", "Soup", "Rice", size=1, at_once=1, fallback=Fallback.FAIL, webhook_url="http://x/")
    easel.work_off()
    job = easel.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "provider_refused"
    assert painter(easel).drawn == ["Tea", "Soup"]
    assert [bool(item.outputs) for item in easel.items(job_id)] == [True, False, False]
    assert easel.scalar("SELECT count(*) FROM deliveries WHERE event_type = 'job.failed'") == 1
    assert easel.scalar("SELECT count(*) FROM dead_letters") == 0
    assert easel.scalar("SELECT array_agg(DISTINCT status) FROM generation_chunks") == ["canceled", "completed"]


def test_a_job_that_skips_leaves_the_item_without_a_picture(easel: Easel) -> None:
    painter(easel).does = refused
    job_id = easel.submit("Tea", "Soup", fallback=Fallback.SKIP)
    easel.work_off()
    soup = easel.items(job_id)[1]
    assert easel.job(job_id).status == "completed"
    assert (soup.success, soup.provider, soup.outputs) == (False, None, [])
    assert soup.error is not None
    assert soup.finished_at is not None


def test_without_a_provider_everything_is_a_placeholder(easel: Easel) -> None:
    easel.real = Unavailable(ErrorCode.PROVIDER_UNAVAILABLE, "There is no key.")
    job_id = easel.submit(*DISHES)
    easel.work_off()
    items = easel.items(job_id)
    assert easel.job(job_id).status == "completed"
    assert {(item.success, item.provider) for item in items} == {(False, "placeholder")}
    assert all(item.error and item.error["code"] == "provider_unavailable" for item in items)
    assert easel.generation(job_id).real_items == 0


def test_what_passes_is_tried_again_and_the_others_do_not_wait_for_it(easel: Easel) -> None:
    def shaky(number: int, _subject: Subject) -> Picture | None:
        if number == 1:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 500.")
        return None

    painter(easel).does = shaky
    job_id = easel.submit("Tea", "Soup", "Rice")
    easel.work_off()
    assert painter(easel).drawn == ["Tea", "Soup", "Rice", "Tea"]
    assert all(item.success for item in easel.items(job_id))
    assert easel.generation(job_id).cost == 3 * 40_000


def test_a_provider_that_stays_away_is_asked_so_often_and_then_stood_in_for(easel: Easel) -> None:
    def away(_number: int, _subject: Subject) -> Picture | None:
        raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 500.")

    painter(easel).does = away
    job_id = easel.submit("Tea", "Soup")
    easel.work_off()
    assert sorted(painter(easel).drawn) == ["Soup"] * 3 + ["Tea"] * 3
    assert easel.job(job_id).status == "completed"
    assert {item.provider for item in easel.items(job_id)} == {"placeholder"}


def test_a_provider_that_asks_to_wait_is_left_alone_by_all(easel: Easel) -> None:
    def busy(number: int, _subject: Subject) -> Picture | None:
        if number == 1:
            raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 429.", 120)
        return None

    painter(easel).does = busy
    job_id = easel.submit("Tea", "Soup", size=1)
    other = easel.submit("Rice")
    clock = "SELECT extract(epoch FROM clock_timestamp())::float8"
    before = easel.scalar(clock)
    for chunk_id in easel.due():
        easel.run(chunk_id)
    assert painter(easel).drawn == ["Tea"], "nobody calls meanwhile"
    until = "SELECT min(extract(epoch FROM run_at))::float8 FROM generation_chunks WHERE status = 'queued'"
    assert before + 119 < easel.scalar(until) <= easel.scalar(clock) + 121
    with easel.database.session_scope() as session:
        session.execute(text("UPDATE provider_meters SET next_at = now()"))
    easel.ripen()
    easel.work_off()
    assert {easel.job(each).status for each in (job_id, other)} == {"completed"}
    assert easel.scalar("SELECT count(*) FROM generation_items WHERE success") == 3


def test_a_pause_that_is_longer_than_the_job_may_take_is_not_waited_for(easel: Easel) -> None:
    def busy(_number: int, _subject: Subject) -> Picture | None:
        raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 429.", 120)

    painter(easel).does = busy
    easel.submit("Rice")
    easel.run(easel.due()[0])
    easel.job_timeout = 60
    job_id = easel.submit("Tea", "Soup")
    easel.run(easel.due()[0])
    assert easel.job(job_id).status == "completed"
    assert {item.provider for item in easel.items(job_id)} == {"placeholder"}
    assert painter(easel).drawn == ["Rice"], "the provider is left alone"


def test_one_thing_waits_for_one_chunk_of_each_list_and_not_for_lists(easel: Easel) -> None:
    for _ in range(4):
        easel.submit(*(f"{word} {n}" for n, word in enumerate(DISHES * 4)), size=1, cache=False)
    for _ in range(2):
        for chunk_id in easel.due(most=3):
            easel.run(chunk_id)
    one = easel.submit("Cake")
    worked_on = 0
    while easel.job(one).status != "completed":
        worked_on += len(due := easel.due(most=1))
        for chunk_id in due:
            easel.run(chunk_id)
    assert worked_on <= 2 * 4 + 1


def test_a_provider_that_is_away_for_hours_is_stood_in_for_at_once(easel: Easel) -> None:
    def exhausted(_number: int, _subject: Subject) -> Picture | None:
        raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "The quota of the day is used up.", 7_200)

    painter(easel).does = exhausted
    job_id = easel.submit("Tea")
    easel.run(easel.due()[0])
    assert easel.job(job_id).status == "completed"
    assert easel.items(job_id)[0].provider == "placeholder"


@pytest.mark.parametrize("data", [b"no picture", b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40], ids=["text", "empty", "cut"])
def test_bytes_that_are_no_picture_are_asked_for_again(easel: Easel, data: bytes) -> None:
    def garbage(number: int, _subject: Subject) -> Picture | None:
        return Picture(data, "image/png") if number == 1 else None

    painter(easel).does = garbage
    job_id = easel.submit("Tea")
    easel.work_off()
    assert painter(easel).drawn == ["Tea", "Tea"]
    assert easel.items(job_id)[0].success
    assert easel.generation(job_id).cost == 80_000, "the provider made something, and takes its price"
    assert len(list(easel.store.list("renditions/"))) == 1


def test_a_job_spends_no_more_than_its_budget(easel: Easel) -> None:
    easel.settings = GenerationSettings(budget_dollars=0.1)
    job_id = easel.submit("Tea", "Soup", "Rice", "Salad")
    easel.work_off()
    items = easel.items(job_id)
    assert len(painter(easel).drawn) == 2
    assert [item.success for item in items] == [True, True, False, False]
    assert all(item.error and item.error["code"] == "budget_exceeded" for item in items[2:])
    assert easel.generation(job_id).cost == 80_000


@pytest.mark.parametrize(
    ("behaviour", "calls", "code"),
    [
        pytest.param(gemini.broken_base64(), 2, "budget_exceeded", id="base64"),
        pytest.param(gemini.garbage(), 2, "budget_exceeded", id="half-json"),
        pytest.param(gemini.hang_up(), 2, "budget_exceeded", id="hang-up"),
        pytest.param(gemini.hang(0.1), 2, "budget_exceeded", id="silent"),
        pytest.param(gemini.huge(100_000), 2, "budget_exceeded", id="too-large"),
        pytest.param(gemini.broken(503), 9, "provider_unavailable", id="503"),
        pytest.param(gemini.words(), 3, "provider_refused", id="words"),
        pytest.param(gemini.refused("NO_IMAGE"), 9, "provider_unavailable", id="no-image"),
    ],
)
def test_a_call_is_taken_back_only_if_the_provider_says_that_there_is_no_picture(
    easel: Easel, behaviour: Behaviour, calls: int, code: str
) -> None:
    given = {"gemini_key": KEY, "max_bytes": 50_000, "budget_dollars": 0.07}
    with running_gemini() as server:
        easel.settings = GenerationSettings.model_validate({**given, "gemini_url": server.url})
        easel.real = GeminiProvider(EgressClient(EgressSettings(allow="127.0.0.1")), easel.settings)
        server.script("", behaviour)
        job_id = easel.submit("Tea", "Soup", "Rice")
        easel.work_off()
        assert len(server.requests) == calls
    last = easel.items(job_id)[-1].error
    assert last is not None
    assert last["code"] == code
    assert easel.generation(job_id).cost == (67_200 if code == "budget_exceeded" else 0)


def test_each_output_of_the_recipe_is_made_of_each_picture_under_a_name_of_its_own(easel: Easel) -> None:
    outputs = [
        {"name": "large", "format": "webp", "operations": []},
        {"name": "small", "format": "jpeg", "operations": [{"op": "resize", "width": 20}]},
    ]
    job_id = easel.submit("Tea", "Soup", recipe={"outputs": outputs})
    easel.work_off()
    stamp = easel.job(job_id).created_at.strftime("%Y%m%d_%H%M%S")
    assert [item.outputs for item in easel.items(job_id)] == [
        [f"image_{name}_{stamp}-large.webp", f"image_{name}_{stamp}-small.jpg"] for name in ("tea", "soup")
    ]
    assert easel.scalar("SELECT array_agg(position ORDER BY position) FROM outputs") == [0, 1, 2, 3]
    assert easel.scalar("SELECT array_agg(DISTINCT width) FROM renditions WHERE format = 'jpeg'") == [20]


def test_a_recipe_that_no_picture_fits_leaves_the_items_without_one(easel: Easel) -> None:
    crop = {"op": "crop", "width": 50, "height": 50, "x": 5000, "y": 5000}
    job_id = easel.submit("Tea", recipe={"outputs": [{"name": "cut", "format": "png", "operations": [crop]}]})
    easel.work_off()
    (item,) = easel.items(job_id)
    assert (easel.job(job_id).status, item.success, item.provider, item.outputs) == ("completed", False, None, [])
    assert item.error is not None
    assert item.error["code"] == "recipe_mismatch"
    assert painter(easel).drawn == ["Tea"]
    assert list(easel.store.list("renditions/")) == []


def test_a_canceled_job_stops_and_its_chunks_end(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", size=1)

    def canceled(_number: int, _subject: Subject) -> Picture | None:
        with easel.database.session_scope() as session:
            jobs.cancel(session, job_id, "default")
        return None

    painter(easel).does = canceled
    easel.work_off()
    assert easel.job(job_id).status == "canceled"
    assert painter(easel).drawn == ["Tea"]
    assert easel.scalar("SELECT count(*) FROM outputs") == 0
    assert list(easel.store.list("renditions/")) == []
    assert easel.scalar("SELECT array_agg(DISTINCT status) FROM generation_chunks") == ["canceled"]


def test_a_finished_item_is_never_drawn_again_by_who_takes_over(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", "Rice")
    killed = RuntimeError("killed")

    def dies(number: int, _subject: Subject) -> Picture | None:
        if number == 2:
            with easel.database.session_scope() as session:
                session.execute(text("UPDATE generation_chunks SET lease_until = now() - interval '1 s'"))
                assert chunks.WORK.expire_leases(session, 3) == 1
            raise killed
        return None

    painter(easel).does = dies
    easel.work_off()
    assert painter(easel).drawn == ["Tea", "Soup", "Soup", "Rice"]
    assert easel.job(job_id).status == "completed"
    assert easel.scalar("SELECT count(*) FROM outputs") == 3


def test_a_chunk_whose_worker_died_each_time_fails_its_job_with_a_dead_letter(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", size=1)
    for attempt in range(1, 4):
        doomed = easel.due()[0]
        with easel.database.session_scope() as session:
            assert chunks.claim(session, doomed, "w", 60)
            session.execute(text("UPDATE generation_chunks SET lease_until = now() - interval '1 s' WHERE fence > 0"))
            assert chunks.WORK.expire_leases(session, 3) == (1 if attempt < 3 else 0)
    with easel.database.session_scope() as other, easel.database.session_scope() as session:
        # Who ends an item has the job's row first, and then wants the chunk's.
        assert chunks.lock_job(other, job_id)
        (row,) = chunks.WORK.exhausted(session, 3)
        give_up_chunk(session, row["id"], row["fence"])
    assert easel.job(job_id).status == "processing", "left to the next pass"
    with easel.database.session_scope() as session:
        (row,) = chunks.WORK.exhausted(session, 3)
        give_up_chunk(session, row["id"], row["fence"])
    job = easel.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "attempts_exhausted"
    assert easel.scalar("SELECT payload->>'job_id' FROM dead_letters") == str(job_id)
    assert easel.scalar("SELECT array_agg(DISTINCT status) FROM generation_chunks") == ["canceled"]


def test_a_job_that_takes_too_long_fails_and_keeps_its_pictures(easel: Easel) -> None:
    job_id = easel.submit("Tea", "Soup", size=1, at_once=1)
    easel.run(easel.due()[0])
    settings = WorkSettings(image_job_timeout=60)
    with easel.database.session_scope() as session:
        fail_overdue(session, settings)
    assert easel.job(job_id).status == "processing", "not yet"
    with easel.database.session_scope() as session:
        session.execute(text("UPDATE jobs SET started_at = now() - interval '61 s'"))
    with easel.database.session_scope() as session:
        fail_overdue(session, settings)
    job = easel.job(job_id)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "time_limit"
    assert [bool(item.outputs) for item in easel.items(job_id)] == [True, False]
    easel.work_off()
    assert painter(easel).drawn == ["Tea"]


def test_a_long_list_has_as_much_time_for_each_hundred_of_its_pictures(easel: Easel) -> None:
    job_id = easel.submit(*(f"Dish {number}" for number in range(250)), size=100)
    started = "UPDATE jobs SET started_at = clock_timestamp() - make_interval(secs => :s)"

    def status_after(seconds: float) -> str:
        with easel.database.session_scope() as session:
            session.execute(text(started), {"s": seconds})
        with easel.database.session_scope() as session:
            fail_overdue(session, WorkSettings(image_job_timeout=60))
        return easel.job(job_id).status

    def busy(_number: int, _subject: Subject) -> Picture | None:
        raise TransientError(ErrorCode.PROVIDER_UNAVAILABLE, "HTTP 429.", 100)

    painter(easel).does = busy
    easel.job_timeout = 60
    easel.run(easel.due()[0])
    assert easel.generation(job_id).finished_items == 0, "a pause of 100 s is waited for"
    assert status_after(90) == "processing"
    assert status_after(151) == "failed"
    error = easel.job(job_id).error
    assert error is not None
    assert (error["code"], error["detail"][:37]) == ("time_limit", "The pictures were not all there 150 s")


def test_calls_keep_the_pace_that_is_allowed(easel: Easel) -> None:
    easel.rpm = 60
    slept: list[float] = []
    times = "SELECT ARRAY[extract(epoch FROM clock_timestamp()), extract(epoch FROM next_at)]::float8[]"
    begun: list[list[float]] = []

    def noted(_number: int, _subject: Subject) -> Picture | None:
        begun.append([moment + sum(slept) for moment in easel.scalar(f"{times} FROM provider_meters")])
        return None

    painter(easel).does = noted
    job_id = easel.submit("Tea", "Soup")
    studio = easel.studio
    easel.studio = lambda: _patient(studio(), slept, easel)  # type: ignore[method-assign]
    easel.work_off()
    assert easel.job(job_id).status == "completed"
    (_, next_at), (second, after) = begun
    assert next_at <= second, "the meter says when the second may begin"
    assert after - next_at >= 1 - 1e-3, "which is a second after the first"
    assert sum(slept) < 1 + 1e-3


def _patient(studio: object, slept: list[float], easel: Easel) -> object:
    """Time passes at once: the meter is moved instead."""
    from dataclasses import replace

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        with easel.database.session_scope() as session:
            session.execute(
                text("UPDATE provider_meters SET next_at = next_at - make_interval(secs => :s)"), {"s": seconds}
            )

    return replace(studio, sleep=sleep)  # type: ignore[type-var]
