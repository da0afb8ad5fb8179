"""Jobs that generate, with dispatcher, workers and a server that speaks the provider's HTTP; some are killed."""

import datetime
import itertools
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests.gemini import Exchange, FakeGemini, busy, held, picture, running_gemini
from tests.integration.imaging.studio import RECIPE
from tests.integration.shared.crew import IMAGING, Crew
from tests.integration.shared.processes import Running
from tests.servers import Servers
from tests.waiting import eventually

from pixmill_shared.database.models import Generation, GenerationChunk, GenerationItem
from pixmill_shared.domain.generation import Form, chunks_of, distinct, safe_name
from pixmill_shared.domain.jobs import TERMINAL
from pixmill_shared.repositories import generations
from pixmill_shared.repositories.generations import NewGeneration, NewItem
from pixmill_shared.service.claims import EVERY

#: Workers are killed and started up to eight times.
pytestmark = pytest.mark.timeout(400)

CATEGORIES = ("前菜", "Soups", "Mains", "Desserts", "Drinks")


@pytest.fixture
def gemini() -> Iterator[FakeGemini]:
    with running_gemini() as server:
        yield server


@pytest.fixture
def crew(servers: Servers, postgres_url: str, redis_url: str, tmp_path: Path, gemini: FakeGemini) -> Iterator[Crew]:
    settings = {"PIXMILL_LEASE": "60", "PIXMILL_GENERATION_RPM": "0"}
    crew = Crew(servers, postgres_url, tmp_path, **settings, **gemini.variables())
    yield crew
    crew.close()


def start(crew: Crew, name: str = "imaging-io", **changes: str) -> Running:
    """With more threads than may generate."""
    return crew.fleet.worker(name, IMAGING, "-Q", "fetch,generate", "-P", "threads", "-c", "8", **changes)


def submit(crew: Crew, items: list[tuple[str, str]], *, size: int = 3, at_once: int = 5) -> uuid.UUID:
    """Of categories and names."""
    prompts = [f"A photograph of {name} ({category})." for category, name in items]
    safe = distinct(safe_name(name) for _, name in items)
    places = chunks_of(prompts, size)
    new = [NewItem(*items[at], prompts[at], safe[at], places[at]) for at in range(len(items))]
    categories = list(dict.fromkeys(category for category, _ in items))
    with crew.database.session_scope() as session:
        return generations.insert(
            session, NewGeneration("default", 1, RECIPE, new, categories, at_once, form=Form.MENU, cache=False)
        )


def pass_time(crew: Crew) -> None:
    """Leases of the worker that was killed run out now: a long one bears a machine that stands still for a while."""
    crew.execute("UPDATE generation_chunks SET lease_until = now() WHERE status = 'processing'")


def items_of(crew: Crew, job_id: uuid.UUID) -> list[GenerationItem]:
    with crew.database.session_scope() as session:
        return list(generations.items_of(session, job_id))


def chunks_in(crew: Crew, job_id: uuid.UUID) -> list[uuid.UUID]:
    query = select(GenerationChunk.id).where(GenerationChunk.job_id == job_id).order_by(GenerationChunk.position)
    with crew.database.session_scope() as session:
        return list(session.scalars(query))


def generation(crew: Crew, job_id: uuid.UUID) -> Generation:
    with crew.database.session_scope() as session:
        return session.get_one(Generation, job_id)


def test_60_pictures_in_5_categories_come_once_each_though_the_worker_is_killed_twice(
    crew: Crew, gemini: FakeGemini
) -> None:

    def together(exchange: Exchange) -> None:
        # The first ones wait for each other: however slow the machine is, as many are seen at once as there may be.
        eventually(lambda: gemini.most_at_once >= 3 or exchange.stopping.is_set(), within=120)
        picture(after=0.2)(exchange)

    gemini.script("", together)
    menu = [(category, f"Dish {number}") for category, number in itertools.product(CATEGORIES, range(12))]
    worker = start(crew)
    crew.dispatch()
    job_id = submit(crew, menu)
    for done in (10, 30):
        eventually(lambda done=done: generation(crew, job_id).finished_items >= done, within=120)
        worker.end(signal.SIGKILL)
        pass_time(crew)
        worker = start(crew)
    crew.ended(job_id, 150)
    job, items, asked = crew.job(job_id), items_of(crew, job_id), gemini.asked()
    assert (job.status, job.progress) == ("completed", 100)
    assert [(item.category, item.name) for item in items] == menu
    assert all(item.success and len(item.outputs) == 1 for item in items)
    assert len({name for item in items for name in item.outputs}) == 60
    assert len(crew.outputs()) >= 60
    # Asked for again was only what was under way when the worker was killed: three at once, twice.
    assert 60 <= len(asked) <= 66
    # A call is counted before it is made: a kill between the two leaves one that nobody saw.
    assert all(item.attempts >= len(gemini.asked(f"{item.name} ({item.category})")) for item in items)
    assert sum(item.attempts for item in items) <= 66
    assert gemini.most_at_once == 3, "MAX_IMAGE_WORKERS"
    events = crew.events(job_id)
    assert (events.count("job.output"), events.count("job.progress"), events.count("job.completed")) == (60, 20, 1)
    drawn = eventually(lambda: worker.metric("pixmill_provider_calls_total", 'outcome="picture"'), within=60)
    assert drawn <= 40, "of the third worker"


def test_the_dispatcher_ends_a_job_that_takes_too_long(crew: Crew, gemini: FakeGemini) -> None:
    ended = threading.Event()

    def slow(exchange: Exchange) -> None:
        held(ended)(exchange)
        exchange.wait(2 * EVERY)

    gemini.script("Slow", slow)
    start(crew)
    crew.fleet.environment["IMAGE_JOB_TIMEOUT"] = "900"
    crew.dispatch()
    job_id = submit(crew, [("", "Tea"), ("", "Slow"), ("", "Soup")])
    eventually(lambda: gemini.asked("Slow"), within=120)
    crew.execute("UPDATE jobs SET started_at = started_at - interval '900 s'")
    job = crew.ended(job_id, 60)
    assert (job.status, (job.error or {})["code"]) == ("failed", "time_limit")
    # The call is over some time, and what it was for ends with the job.
    ended.set()
    query = select(GenerationChunk.status).where(GenerationChunk.job_id == job_id)

    def over() -> bool:
        with crew.database.session_scope() as session:
            return session.scalars(query).all() == ["canceled"]

    eventually(over, within=60)
    assert [bool(item.outputs) for item in items_of(crew, job_id)] == [True, False, False]
    assert gemini.asked("Soup") == []


#: Where a worker is killed, in the order in which it passes by.
POINTS = ("chunk.claimed", "item.begun", "item.drawn", "item.stored", "item.made", "item.finished", "chunk.done")


def test_wherever_the_worker_is_killed_each_thing_has_one_picture_in_the_end(crew: Crew, gemini: FakeGemini) -> None:
    job_id = submit(crew, [("", f"Dish {number}") for number in range(len(POINTS))], size=1, at_once=1)
    for point, chunk_id in zip(POINTS, chunks_in(crew, job_id), strict=True):
        crew.arm(point, chunk_id, "kill")
    worker = start(crew)
    crew.dispatch()
    kills = 0

    def ended() -> bool:
        nonlocal worker, kills
        if worker.popen.poll() is not None:
            kills += 1
            pass_time(crew)
            worker = start(crew)
        return crew.job(job_id).status in TERMINAL

    eventually(ended, within=300)
    job, made = crew.job(job_id), generation(crew, job_id)
    assert (job.status, kills) == ("completed", len(POINTS))
    assert (made.finished_items, made.finished_chunks, made.real_items) == (7, 7, 7)
    # What had not come to be a row is drawn again, and only that.
    again = {"item.begun": 1, "item.drawn": 2, "item.stored": 2, "item.made": 2}
    assert [len(gemini.asked(f"Dish {at} ")) for at in range(7)] == [again.get(point, 1) for point in POINTS]
    assert len({name for item in items_of(crew, job_id) for name in item.outputs}) == 7
    events = crew.events(job_id)
    assert (events.count("job.output"), events.count("job.progress"), events.count("job.completed")) == (7, 7, 1)


#: By the clock of the database, which is that of the meter: when each call began, and when the next one may.
CALLS = """
    CREATE TABLE calls (at timestamptz, next_at timestamptz);
    CREATE FUNCTION note_call() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN INSERT INTO calls SELECT clock_timestamp(), next_at FROM provider_meters; RETURN NULL; END';
    CREATE TRIGGER note_call AFTER UPDATE OF attempts ON generation_items
      FOR EACH ROW WHEN (NEW.attempts > OLD.attempts) EXECUTE FUNCTION note_call()
    """
PACE = datetime.timedelta(seconds=0.25)


def test_two_workers_keep_one_pace(crew: Crew, gemini: FakeGemini) -> None:
    crew.execute(CALLS)
    paid = {"GEMINI_PICTURE_PRICE": "0.04", "PIXMILL_GENERATION_BUDGET": "0.4"}
    for name in ("one", "two"):
        start(crew, name, PIXMILL_GENERATION_RPM="240", **paid)
    gemini.script("", busy(0.5), picture())
    crew.dispatch()
    job_id = submit(crew, [("", f"Dish {number}") for number in range(12)])
    crew.ended(job_id, 120)
    with crew.database.session_scope() as session:
        calls = session.execute(text("SELECT at, next_at FROM calls ORDER BY at")).all()
    assert len(calls) == len(gemini.requests)
    assert all(later.at >= earlier.next_at for earlier, later in itertools.pairwise(calls))
    assert all(after - before >= PACE for (_, before), (_, after) in itertools.pairwise(calls))
    items = items_of(crew, job_id)
    assert sum(item.success for item in items) == 10, "the budget is of ten pictures"
    assert {item.error["code"] for item in items if item.error} == {"budget_exceeded"}
    assert len(calls) == 11, "one was put off, and asked for again"
    assert generation(crew, job_id).cost == 400_000


def test_a_worker_that_is_told_to_stop_leaves_its_chunk_to_another_at_once(crew: Crew, gemini: FakeGemini) -> None:
    gemini.script("", held(threading.Event()), picture())
    patient = {"PIXMILL_LEASE": "600", "PIXMILL_GENERATION_TIMEOUT": "600"}
    worker = start(crew, PIXMILL_SHUTDOWN_TIMEOUT="1", **patient)
    crew.dispatch()
    job_id = submit(crew, [("", "Tea")])
    eventually(lambda: gemini.requests, within=120)
    other = start(crew, "other", **patient)
    other.wait_ready(120)
    assert crew.job(job_id).status == "processing"
    worker.end(seconds=90)
    assert crew.ended(job_id, 120).status == "completed"
    first, _ = gemini.requests
    assert first.answered_at is None, "neither the call nor the lease has come to its end"
