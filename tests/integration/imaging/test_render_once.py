"""The same pixels are made once: who comes at the same time waits as a row and links, whatever becomes of the maker."""

import hashlib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from tests.integration.imaging.farm import CountingStore, Farm, directory, recipe
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.failures import error_document
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.repositories import jobs, reservations

ROOT = Path(__file__).parents[3]


@pytest.fixture
def farm(postgres_url: str, tmp_path: Path) -> Iterator[Farm]:
    database = Database(postgres_url, pool_size=8, max_overflow=8)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, dead_letters CASCADE"))
    yield Farm(database, CountingStore(directory(str(tmp_path / "objects"))))
    database.dispose()


def cached(farm: Farm, job_id: uuid.UUID) -> set[bool]:
    return {flag for _, flag in farm.outputs(job_id).values()}


def test_twenty_identical_jobs_at_once_render_once(farm: Farm) -> None:
    farm.loader.before_decode = lambda _number: time.sleep(0.3)
    ids = [farm.submit(recipe(60, 30)) for _ in range(20)]
    with farm.working(4):
        eventually(farm.all_ended, 60)
    assert {farm.job(job_id).status for job_id in ids} == {"completed"}
    assert (farm.loader.decodes, len(farm.store.puts)) == (1, 2)
    assert sorted(sorted(cached(farm, job_id)) for job_id in ids) == [[False]] + [[True]] * 19
    assert len({tuple(sorted(key for key, _ in farm.outputs(job_id).values())) for job_id in ids}) == 1
    # A claim that was given back was no attempt.
    assert {farm.job(job_id).attempts for job_id in ids} == {1}
    assert farm.scalar("SELECT count(*) FROM rendition_reservations") == 0


def test_waiting_job_is_woken_when_the_maker_has_finished(farm: Farm) -> None:
    """By the maker: here the dispatcher never looks for ripe rows."""
    gate = threading.Event()
    farm.loader.before_decode = lambda _number: gate.wait(120) and None
    ids = [farm.submit(recipe(60)) for _ in range(2)]
    with farm.working(2, looks=False):
        try:
            eventually(lambda: farm.scalar("SELECT max(waits_for) FROM jobs"), 60)
        finally:
            gate.set()
        eventually(farm.all_ended, 60)
    assert {farm.job(job_id).status for job_id in ids} == {"completed"}


def test_waiting_job_holds_no_claim_and_no_attempt(farm: Farm) -> None:
    first, second = farm.submit(recipe(60)), farm.submit(recipe(60))

    def meanwhile(_number: int) -> None:
        farm.run(second)
        row = farm.job(second)
        assert (row.status, row.attempts, row.lease_until, row.claimed_by) == ("queued", 0, None, None)
        assert row.run_at is not None
        assert row.waits_for is not None

    farm.loader.before_decode = meanwhile
    farm.run(first)
    assert farm.job(first).status == "completed"
    row = farm.job(second)
    assert (row.run_at, row.waits_for) == (None, None)
    farm.run(second)
    assert (farm.job(second).status, cached(farm, second)) == ("completed", {True})
    assert farm.loader.decodes == 1


def test_overlapping_recipes_in_any_order_make_each_rendition_once(farm: Farm) -> None:
    wanted = [(20, 30, 40), (40, 30, 20), (30, 50), (50, 20), (40, 60, 20), (60, 50, 40)] * 3
    farm.loader.before_decode = lambda _number: time.sleep(0.05)
    ids = [farm.submit(recipe(*widths)) for widths in wanted]
    with farm.working(4):
        eventually(farm.all_ended, 90)
    assert {farm.job(job_id).status for job_id in ids} == {"completed"}
    assert [set(farm.outputs(job_id)) for job_id in ids] == [{f"w{width}" for width in widths} for widths in wanted]
    assert len(farm.store.puts) == len(set().union(*wanted)) == farm.scalar("SELECT count(*) FROM renditions")


def test_two_outputs_that_differ_by_name_only_are_made_once(farm: Farm) -> None:
    twins = [{**recipe(60)["outputs"][0], "name": name} for name in ("a", "b")]
    job_id = farm.submit({"outputs": twins})
    farm.run(job_id)
    outputs = farm.outputs(job_id)
    assert (outputs["a"], len(farm.store.puts)) == (outputs["b"], 1)


def test_job_whose_renditions_exist_reads_no_source_and_shows_it_all_the_same(farm: Farm) -> None:
    first, second = farm.submit(recipe(60)), farm.submit(recipe(60))
    farm.run(first)
    farm.store.gets.clear()
    farm.run(second)
    assert (farm.store.gets, farm.loader.decodes) == ([], 1)
    assert farm.job(second).source == farm.job(first).source
    assert farm.job(second).source["width"] == 120


def test_partly_known_job_makes_what_is_missing(farm: Farm) -> None:
    farm.run(farm.submit(recipe(60)))
    job_id = farm.submit(recipe(60, 30))
    farm.run(job_id)
    assert {name: flag for name, (_, flag) in farm.outputs(job_id).items()} == {"w60": True, "w30": False}
    assert len(farm.store.puts) == 2


def test_maker_that_is_killed_is_replaced_when_its_lease_ends(farm: Farm, tmp_path: Path) -> None:
    first, second = farm.submit(recipe(60)), farm.submit(recipe(60))
    command = [sys.executable, "-m", "tests.integration.imaging.farm", farm.database.url, str(tmp_path / "objects")]
    maker = subprocess.Popen([*command, str(first), "60"], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert maker.stdout is not None
        assert b"decoding" in maker.stdout.readline()
        farm.run(second)
        assert farm.job(second).waits_for is not None
    finally:
        maker.kill()
        maker.wait(60)
        assert maker.stdout is not None
        maker.stdout.close()
    assert farm.scalar("SELECT lease_until FROM rendition_reservations") == farm.job(first).lease_until
    with farm.database.session_scope() as session:  # a minute goes by
        for table, column in (("jobs", "lease_until"), ("rendition_reservations", "lease_until"), ("jobs", "run_at")):
            session.execute(text(f"UPDATE {table} SET {column} = {column} - interval '61 s'"))
    with farm.working(2):
        eventually(farm.all_ended, 60)
    assert {farm.job(job_id).status for job_id in (first, second)} == {"completed"}
    assert farm.loader.decodes == 1
    assert sorted(cached(farm, first) | cached(farm, second)) == [False, True]


def test_maker_that_fails_for_good_lets_the_next_one_try(farm: Farm) -> None:
    first, second, third = (farm.submit(recipe(60)) for _ in range(3))

    def fail(number: int) -> None:
        if number == 1:
            farm.run(second)
            farm.run(third)
            raise PermanentError(ErrorCode.UNDECODABLE, "A broken encoder.")

    farm.loader.before_decode = fail
    farm.run(first)
    assert farm.job(first).status == "failed"
    assert [farm.job(job_id).run_at for job_id in (second, third)] == [None, None]
    with farm.working(2):
        eventually(farm.all_ended, 60)
    assert [farm.job(job_id).status for job_id in (first, second, third)] == ["failed", "completed", "completed"]
    assert farm.loader.decodes == 2


def test_maker_that_will_try_again_later_leaves_the_rendition_to_others(farm: Farm) -> None:
    first, second = farm.submit(recipe(60)), farm.submit(recipe(60))

    def fail(number: int) -> None:
        if number == 1:
            farm.run(second)
            raise TransientError(ErrorCode.STORAGE_UNAVAILABLE, "Away.")

    farm.loader.before_decode = fail
    farm.run(first)
    assert (farm.job(first).status, farm.job(second).run_at) == ("queued", None)
    assert farm.scalar("SELECT count(*) FROM rendition_reservations") == 0
    farm.run(second)
    assert (farm.job(second).status, cached(farm, second)) == ("completed", {False})


def test_maker_that_fails_at_every_try_fails_alone_and_keeps_nothing(farm: Farm) -> None:
    job = farm.claim(farm.submit(recipe(60)))
    with farm.database.session_scope() as session:
        assert reservations.reserve(session, job.id, job.fence, ["k"]) == {"k"}
        assert jobs.fail(session, job.id, job.fence, error_document(ErrorCode.TIME_LIMIT, "Too long."))
    assert farm.scalar("SELECT count(*) FROM rendition_reservations") == 0


def test_object_that_is_missing_is_made_again_once(farm: Farm) -> None:
    first = farm.submit(recipe(60))
    farm.run(first)
    lost = farm.outputs(first)["w60"][0]
    farm.store.delete(lost)
    with farm.database.session_scope() as session:
        # As an older encoder made it, whose file was another one.
        older = "bytes = bytes + 1, sha256 = repeat('0', 64), format = 'webp', media_type = 'image/webp', frames = 2"
        session.execute(
            text(f"UPDATE renditions SET {older}, width = 59, height = 44, thumbhash = '', dominant_color = ''")
        )
    farm.loader.before_decode = lambda _number: time.sleep(0.2)
    ids = [farm.submit(recipe(60)) for _ in range(8)]
    with farm.working(4):
        eventually(farm.all_ended, 60)
    assert farm.loader.decodes == 2
    assert {farm.outputs(job_id)["w60"][0] for job_id in (first, *ids)} == {farm.store.puts[1]}
    assert farm.store.puts[1] != lost
    data = farm.store.get(farm.store.puts[1])
    made = (len(data), hashlib.sha256(data).hexdigest(), "png", "image/png", 1, 60, 45)
    told = text("SELECT bytes, sha256, format, media_type, frames, width, height FROM renditions")
    with farm.database.session_scope() as session:
        assert tuple(session.execute(told).one()) == made
    assert farm.scalar("SELECT thumbhash <> '' AND dominant_color <> '' FROM renditions")
    assert sorted(sorted(cached(farm, job_id)) for job_id in ids) == [[False]] + [[True]] * 7


def test_late_delete_of_an_object_does_not_hit_the_rendition_that_was_made_again(farm: Farm) -> None:
    first = farm.submit(recipe(60))
    farm.run(first)
    old = farm.outputs(first)["w60"][0]
    with farm.database.session_scope() as session:
        session.execute(text("DELETE FROM jobs"))
        session.execute(text("DELETE FROM renditions"))
    second = farm.submit(recipe(60))
    farm.run(second)
    farm.store.delete(old)
    new = farm.outputs(second)["w60"][0]
    assert farm.store.exists(new)
    assert new.rpartition("/")[2].partition(".")[0] == str(farm.scalar("SELECT id FROM renditions"))


def test_rendition_that_a_job_uses_cannot_be_deleted_and_goes_on_without_the_job_that_made_it(farm: Farm) -> None:
    first, second = farm.submit(recipe(60)), farm.submit(recipe(60))
    farm.run(first)
    farm.run(second)
    with farm.database.session_scope() as session:
        session.execute(text("DELETE FROM jobs WHERE id = :id"), {"id": first})
    assert farm.store.exists(farm.outputs(second)["w60"][0])
    with pytest.raises(IntegrityError), farm.database.session_scope() as session:
        session.execute(text("DELETE FROM renditions"))


def test_rendition_that_is_deleted_while_a_job_links_it_is_made_by_the_next_try(farm: Farm) -> None:
    farm.run(farm.submit(recipe(60)))
    second = farm.submit(recipe(60))
    exists = farm.store._store.exists

    def then_deleted(key: str) -> bool:
        found: bool = exists(key)
        with farm.database.session_scope() as session:
            session.execute(text("DELETE FROM outputs"))
            session.execute(text("DELETE FROM renditions"))
        return found

    farm.store.exists = then_deleted
    farm.run(second)
    row = farm.job(second)
    assert (row.status, row.error and row.error["code"]) == ("queued", "storage_unavailable")
    assert farm.outputs(second) == {}
    farm.store.exists = exists
    with farm.working(1):
        eventually(farm.all_ended, 60)
    assert cached(farm, second) == {False}


def test_bytes_that_are_not_those_that_came_in_make_no_rendition(farm: Farm) -> None:
    job_id = farm.submit(recipe(60))
    farm.store._store.put(farm.job(job_id).source_key or "", jpeg(photo(64, 48)), "image/jpeg")
    farm.run(job_id)
    row: Any = farm.job(job_id)
    assert (row.status, row.error["code"]) == ("failed", "source_not_found")
    assert farm.store.puts == []
    assert farm.scalar("SELECT count(*) FROM renditions") == 0


def test_lost_claim_neither_reserves_nor_waits(farm: Farm) -> None:
    job = farm.claim(farm.submit(recipe(60)), lease=0.001)
    eventually(lambda: farm.scalar("SELECT lease_until < clock_timestamp() FROM jobs"), 60)
    with farm.database.session_scope() as session:
        assert jobs.WORK.expire_leases(session, 3) == 1
    winner = farm.claim(job.id)
    farm.render(job)
    row = farm.job(job.id)
    assert (row.status, row.fence, row.waits_for) == ("processing", winner.fence, None)
    assert (farm.loader.decodes, farm.scalar("SELECT count(*) FROM rendition_reservations")) == (0, 0)


def test_wait_that_begins_when_the_maker_has_just_finished_is_over_at_once(farm: Farm) -> None:
    job = farm.claim(farm.submit(recipe(60)))
    with farm.database.session_scope() as session:
        assert jobs.wait(session, job, "a key that nobody holds")
    row = farm.job(job.id)
    assert (row.status, row.run_at, row.waits_for) == ("queued", None, None)


@pytest.mark.parametrize("round_", range(3))
def test_wake_up_is_not_lost_between_the_look_and_the_wait(farm: Farm, round_: int) -> None:
    """The waiter keeps its transaction open while the maker ends, and the maker sees it all the same."""
    maker, waiter = farm.claim(farm.submit(recipe(60))), farm.claim(farm.submit(recipe(60)))
    with farm.database.session_scope() as session:
        assert reservations.reserve(session, maker.id, maker.fence, ["k"]) == {"k"}

    def end() -> None:
        with farm.database.session_scope() as session:
            assert jobs.retry(session, maker, 60, {})

    ending = threading.Thread(target=end)
    with farm.database.session_scope() as session:
        assert jobs.wait(session, waiter, "k")
        ending.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        eventually(lambda: farm.scalar(waits), 60)
    ending.join(60)
    assert farm.job(waiter.id).run_at is None


def test_many_jobs_that_reserve_and_end_at_once_never_deadlock(farm: Farm) -> None:
    keys = [f"k{number}" for number in range(6)]
    errors: list[BaseException] = []

    def spin(offset: int) -> None:
        try:
            for turn in range(25):
                job = farm.claim(farm.submit(recipe(60)))
                mine = {keys[(offset + turn * step) % 6] for step in (1, 2, 3)}
                with farm.database.session_scope() as session:
                    got = reservations.reserve(session, job.id, job.fence, mine)
                with farm.database.session_scope() as session:
                    if got == mine:
                        assert jobs.fail(session, job.id, job.fence, {})
                        continue
                    reservations.drop(session, job.id, job.fence)
                with farm.database.session_scope() as session:
                    assert jobs.wait(session, job, min(mine - got))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=spin, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
    assert not any(thread.is_alive() for thread in threads)
    assert errors == []
    assert farm.scalar("SELECT count(*) FROM rendition_reservations") == 0
