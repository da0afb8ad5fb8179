"""How many unfinished jobs a key may have: exact, however many ask at once, and nothing is kept of what is refused."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, patiently, running_api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.database.engine import Database

BODY = {"image_url": "https://example.com/a.jpg"}
ITEM = {"source": {"url": "https://example.com/a.jpg"}}
RECIPE = {"outputs": [{"name": "web"}]}


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Three jobs a key, unless it has a limit of its own."""
    place = tmp_path_factory.mktemp("quota") / "objects"
    settings = {"PIXMILL_AUTH": "on", "PIXMILL_MAX_UNFINISHED_JOBS": "3"}
    with running_api(postgres_url, place, **settings) as running:
        yield running


def submit(api: Api, headers: dict[str, str]) -> int:
    return patiently(lambda: api.client.post("/api/v1/process", json=BODY, headers=headers)).status_code


def unfinished(api: Api, project: str) -> int:
    found: int = api.query("SELECT count(*) FROM jobs WHERE project = %s AND finished_at IS NULL", project)[0][0]
    return found


@pytest.mark.parametrize(("own", "most"), [(None, 3), (7, 7), (1, 1)])
def test_of_twenty_submissions_at_once_no_more_are_taken_than_the_key_may_have(
    guarded: Api, own: int | None, most: int
) -> None:
    project = f"parallel-{most}"
    headers = bearing(made_key(guarded, project, max_unfinished=own))
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda _: submit(guarded, headers), range(20)))
    assert sorted(statuses) == [202] * most + [429] * (20 - most)
    assert unfinished(guarded, project) == most


def test_refused_submission_says_when_to_come_again_and_leaves_nothing(guarded: Api) -> None:
    headers = bearing(made_key(guarded, "refused", max_unfinished=1))
    assert submit(guarded, headers) == 202
    before = guarded.traces()
    keyed = {**headers, "Idempotency-Key": "full"}
    answer = guarded.client.post("/api/v1/process", json=BODY, headers=keyed)
    assert_problem(answer, 429, "quota_exceeded")
    assert int(answer.headers["Retry-After"]) >= 1
    assert guarded.traces() == before


def test_job_that_has_ended_makes_room(guarded: Api) -> None:
    headers = bearing(made_key(guarded, "ended", max_unfinished=1))
    job = guarded.client.post("/api/v1/process", json=BODY, headers=headers).json()["job_id"]
    assert submit(guarded, headers) == 429
    assert guarded.client.post(f"/api/v1/jobs/{job}/cancel", headers=headers).status_code == 200
    assert submit(guarded, headers) == 202


def test_list_of_things_is_one_job(guarded: Api) -> None:
    headers = bearing(made_key(guarded, "generating", max_unfinished=2))
    things = {"kind": "generate", "items": [{"name": f"Dish {n}"} for n in range(9)]}
    menu = {"final_menu": {"a": [{"english_name": "Edamame"}]}}
    assert guarded.client.post("/api/v1/jobs", json=things, headers=headers).status_code == 202
    assert guarded.client.post("/api/v1/image/generate-async", json=menu, headers=headers).status_code == 202
    for path, body in (("jobs", things), ("image/generate-async", menu)):
        assert_problem(guarded.client.post(f"/api/v1/{path}", json=body, headers=headers), 429, "quota_exceeded")
    assert unfinished(guarded, "generating") == 2


def test_key_without_a_limit_and_other_keys_of_the_project_are_not_held_up(guarded: Api) -> None:
    full, free, fresh = (bearing(made_key(guarded, "mixed", max_unfinished=most)) for most in (1, 0, 1))
    assert [submit(guarded, full) for _ in range(2)] == [202, 429]
    assert [submit(guarded, free) for _ in range(5)] == [202] * 5
    assert submit(guarded, fresh) == 202


def test_batch_is_taken_as_a_whole_or_not_at_all(guarded: Api) -> None:
    headers = bearing(made_key(guarded, "batched", max_unfinished=4))
    batches = [
        guarded.client.post("/api/v1/batches", json={"items": [ITEM] * count, "recipe": RECIPE}, headers=headers)
        for count in (5, 3, 2, 1)
    ]
    assert [answer.status_code for answer in batches] == [429, 202, 429, 202]
    assert unfinished(guarded, "batched") == 4
    assert guarded.query("SELECT count(*) FROM batches WHERE project = 'batched'") == [(2,)]


def test_repeated_job_counts_for_the_key_of_the_first_one_whoever_asks(guarded: Api) -> None:
    owner, other = (bearing(made_key(guarded, "again", max_unfinished=most)) for most in (1, 0))
    job = guarded.client.post("/api/v1/process", json=BODY, headers=owner).json()["job_id"]
    assert guarded.client.post(f"/api/v1/jobs/{job}/cancel", headers=owner).status_code == 200
    again = [guarded.client.post(f"/api/v1/jobs/{job}/retry", headers=other).status_code for _ in range(2)]
    assert again == [202, 429]


def test_count_reads_an_index(guarded: Api) -> None:
    count = "SELECT FROM jobs WHERE api_key_id = gen_random_uuid() AND finished_at IS NULL LIMIT 3"
    database = Database(guarded.database_url)
    with database.session_scope() as session:
        plan = "\n".join(session.scalars(text(f"EXPLAIN {count}")))
    database.dispose()
    assert "ix_jobs_unfinished_of_key" in plan
