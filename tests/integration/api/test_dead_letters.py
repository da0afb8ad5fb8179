"""Dead letters over HTTP: who sees which, and what a replay answers."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.running import Api, patiently, running_api
from tests.integration.api.test_bad_input import NOBODYS, assert_problem
from tests.integration.api.test_keys import bearer

PATH = "/api/v1/dead-letters"
RENDER = "pixmill_imaging.tasks.render.render_job"
FETCH = "pixmill_imaging.tasks.fetch.fetch_source"
DELIVER = "pixmill_notifier.tasks.webhooks.deliver_webhook"
SEND = "pixmill_notifier.tasks.alerts.send_message"
ERROR = {"code": "source_timeout", "title": "T", "detail": "D", "retryable": True}


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(postgres_url, tmp_path_factory.mktemp("keys") / "objects", PIXMILL_AUTH="on") as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(api: Api) -> None:
    api.query("TRUNCATE jobs, dead_letters, idempotency_records CASCADE")


def failed_job(api: Api, headers: dict[str, str] | None = None, **fields: Any) -> str:
    """Made over HTTP, then failed behind the API's back, with its event and delivery."""
    body = {"image_url": "https://example.com/a.jpg", "webhook_url": "https://example.com/hook", **fields}
    job = api.client.post("/api/v1/process", json=body, headers=headers).json()["job_id"]
    api.query("UPDATE jobs SET status = 'failed', stage = NULL, error = %s WHERE id = %s", json.dumps(ERROR), job)
    return str(job)


def bury(api: Api, task: str, payload: dict[str, str], project: str | None = "default", age: int = 0) -> str:
    letter = str(uuid.uuid4())
    api.query(
        "INSERT INTO dead_letters (id, project, task, payload, error, traceback, attempts, created_at) "
        "VALUES (%s, %s, %s, %s, %s, 'Traceback: /srv/secret.py', 3, now() - make_interval(secs => %s))",
        *(letter, project, task, json.dumps(payload), json.dumps(ERROR), age),
    )
    return letter


def job_letter(api: Api, headers: dict[str, str] | None = None, project: str = "default", age: int = 0) -> str:
    return bury(api, FETCH, {"job_id": failed_job(api, headers)}, project, age)


def delivery_letter(api: Api) -> tuple[str, str]:
    """The letter and the event that its delivery tells of."""
    job, event, delivery = failed_job(api), str(uuid.uuid4()), str(uuid.uuid4())
    api.query("INSERT INTO job_events (id, job_id, sequence, type) VALUES (%s, %s, 1, 'job.failed')", event, job)
    api.query(
        "INSERT INTO deliveries (id, project, status, queue, event_id, event_type, job_id, url) "
        "VALUES (%s, 'default', 'failed', 'notifier.retry', %s, 'job.failed', %s, 'https://example.com/hook')",
        *(delivery, event, job),
    )
    return bury(api, DELIVER, {"delivery_id": delivery}), event


def test_replayed_job_is_answered_as_a_new_job_that_points_back(api: Api) -> None:
    letter = job_letter(api)
    before = api.client.get(f"{PATH}/{letter}").json()
    assert before["urls"]["replay"] == f"{api.url}{PATH}/{letter}/replay"
    assert (before["kind"], before["error"], before["attempts"]) == ("job", ERROR, 3)
    answer = api.client.post(f"{PATH}/{letter}/replay", headers={"X-Request-ID": "again-1"})
    job = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, job["urls"]["self"])
    assert (job["status"], job["retry_of"]) == ("queued", before["payload"]["job_id"])
    assert api.client.get(answer.headers["Location"]).json()["source"] == {"url": "https://example.com/a.jpg"}
    assert api.query("SELECT request_id FROM jobs WHERE id = %s", job["job_id"]) == [("again-1",)]
    after = api.client.get(f"{PATH}/{letter}").json()
    assert (after["replayed_by"], after["replayed_as"], after["urls"]["replay"]) == ("api", job["job_id"], None)
    assert after["replayed_at"].endswith("Z")


def test_second_replay_is_409_and_names_the_first(api: Api) -> None:
    letter = job_letter(api)
    job = api.client.post(f"{PATH}/{letter}/replay").json()["job_id"]
    refused = assert_problem(api.client.post(f"{PATH}/{letter}/replay"), 409, "conflict")
    assert f"as job {job}, by api" in refused["detail"]
    assert api.query("SELECT count(*) FROM jobs") == [(2,)]


def test_same_idempotency_key_gets_the_first_answer_again(api: Api) -> None:
    letter, headers = job_letter(api), {"Idempotency-Key": "once"}
    answers = [api.client.post(f"{PATH}/{letter}/replay", headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()


def test_of_six_replays_at_once_one_makes_a_job(api: Api) -> None:
    letter = job_letter(api)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: patiently(lambda: api.client.post(f"{PATH}/{letter}/replay")), range(6)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 5
    assert api.query("SELECT count(*) FROM jobs") == [(2,)]


def test_replayed_delivery_is_of_the_same_event(api: Api) -> None:
    letter, event = delivery_letter(api)
    answer = api.client.post(f"{PATH}/{letter}/replay")
    delivery = answer.json()
    assert (answer.status_code, delivery["event_id"], delivery["status"]) == (202, event, "queued")
    assert answer.headers["Location"] == f"{api.url}/api/v1/deliveries/{delivery['delivery_id']}"
    assert api.client.get(answer.headers["Location"]).json() == delivery
    again = api.client.get(f"{PATH}/{letter}").json()
    assert (again["kind"], again["replayed_as"], again["urls"]["job"]) == ("delivery", delivery["delivery_id"], None)
    assert api.query("SELECT count(*), count(DISTINCT event_id) FROM deliveries") == [(2, 1)]


def test_what_cannot_be_replayed_is_409_with_a_sentence(api: Api) -> None:
    gone = bury(api, RENDER, {"job_id": NOBODYS})
    refused = assert_problem(api.client.post(f"{PATH}/{gone}/replay"), 409, "conflict")
    assert refused["detail"] == "The job that it tells of was deleted."
    junk = bury(api, "unknown", {"text": "junk"}, None)
    refused = assert_problem(api.client.post(f"{PATH}/{junk}/replay"), 409, "conflict")
    assert "came from the broker" in refused["detail"]
    shown = api.client.get(f"{PATH}/{junk}").json()
    assert (shown["kind"], shown["urls"]["replay"], shown["payload"]) == (None, None, {"text": "junk"})
    assert api.query("SELECT count(replayed_at) FROM dead_letters") == [(0,)]


def test_message_of_an_alert_is_sent_again_where_keys_are_off(api: Api, guarded: Api) -> None:
    letters, since = [], "1970-01-01T00:00:00Z"
    for _ in range(2):
        message = str(uuid.uuid4())
        api.query(
            "INSERT INTO alert_messages (id, status, queue, channel, kind, body) "
            "VALUES (%s, 'failed', 'notifier.alerts', 'log', 'alerts.changed', '{}')",
            message,
        )
        letters.append(bury(api, SEND, {"message_id": message}, None))
    key = bearer(guarded, "default")
    assert_problem(guarded.client.post(f"{PATH}/{letters[0]}/replay", headers=key), 404)
    many = {"task": SEND, "since": since}
    assert guarded.client.post(f"{PATH}/replay", params=many, headers=key).json()["replayed"] == 0
    answer = api.client.post(f"{PATH}/{letters[0]}/replay")
    shown = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (202, shown["urls"]["self"])
    assert (shown["dead_letter_id"], shown["kind"], shown["urls"]["replay"]) == (letters[0], "message", None)
    again = api.client.post(f"{PATH}/replay", params=many).json()
    assert [(each["dead_letter_id"], each["kind"]) for each in again["data"]] == [(letters[1], "message")]
    made = {shown["replayed_as"], again["data"][0]["id"]}
    assert {row for (row,) in api.query("SELECT id::text FROM alert_messages WHERE status = 'queued'")} == made
    api.query("TRUNCATE alert_messages")


def test_replay_while_the_queue_is_full_is_429_and_leaves_the_letter_as_it_was(
    api: Api, postgres_url: str, tmp_path: Path
) -> None:
    letter = job_letter(api)
    api.client.post("/api/v1/process", json={"image_url": "https://example.com/b.jpg"})
    many = {"task": FETCH, "since": "1970-01-01T00:00:00Z"}
    with running_api(postgres_url, tmp_path / "objects", PIXMILL_MAX_BACKLOG="1") as full:
        assert_problem(full.client.post(f"{PATH}/{letter}/replay"), 429, "queue_full")
        assert_problem(full.client.post(f"{PATH}/replay", params=many), 429, "queue_full")
    assert api.query("SELECT replayed_at FROM dead_letters") == [(None,)]
    assert api.query("SELECT count(*) FROM jobs") == [(2,)]


def test_many_are_replayed_by_task_and_time_within_the_limit(api: Api) -> None:
    old, letters = job_letter(api, age=7200), [job_letter(api, age=60 - n) for n in range(3)]
    delivery_letter(api)
    query: dict[str, Any] = {"task": FETCH, "since": "1970-01-01T00:00:00Z", "limit": 2}
    (hour_ago,) = api.query("SELECT to_char(now() - interval '1 h', 'YYYY-MM-DD\"T\"HH24:MI:SSOF')")[0]
    recent = {**query, "since": f"{hour_ago}:00"}
    first = api.client.post(f"{PATH}/replay", params=recent)
    second = api.client.post(f"{PATH}/replay", params=recent).json()
    assert first.status_code == 202
    assert (first.json()["replayed"], first.json()["has_more"]) == (2, True)
    assert (second["replayed"], second["has_more"]) == (1, False)
    made = first.json()["data"] + second["data"]
    assert {each["dead_letter_id"] for each in made} == set(letters)
    assert {each["kind"] for each in made} == {"job"}
    assert all(api.client.get(f"/api/v1/jobs/{each['id']}").status_code == 200 for each in made)
    assert api.query("SELECT id::text FROM dead_letters WHERE task = %s AND replayed_at IS NULL", FETCH) == [(old,)]
    assert api.client.post(f"{PATH}/replay", params={**query, "until": recent["since"]}).json()["replayed"] == 1


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"task": FETCH}, "/query/since"),
        ({"since": "2026-01-01T00:00:00Z"}, "/query/task"),
        ({"since": "2026-01-01T00:00:00Z", "task": "unknown"}, "/query/task"),
        ({"since": "2026-01-01T00:00:00", "task": FETCH}, "/query/since"),
        ({"since": "yesterday", "task": FETCH}, "/query/since"),
        ({"since": "2026-01-01T00:00:00Z", "task": FETCH, "limit": 1001}, "/query/limit"),
        ({"since": "2026-01-01T00:00:00Z", "task": FETCH, "limit": 0}, "/query/limit"),
    ],
)
def test_replay_of_many_without_its_bounds_is_422_and_replays_nothing(
    api: Api, params: dict[str, str], pointer: str
) -> None:
    job_letter(api)
    refused = assert_problem(api.client.post(f"{PATH}/replay", params=params), 422, "invalid")
    assert [error["pointer"] for error in refused["errors"]] == [pointer]
    assert api.query("SELECT count(replayed_at) FROM dead_letters") == [(0,)]


@pytest.mark.parametrize("query", ["cursor=x", "cursor=%00", "task=%00", "since=x", "replayed=perhaps", "limit=201"])
def test_list_with_a_wrong_parameter_is_422(api: Api, query: str) -> None:
    assert_problem(api.client.get(f"{PATH}?{query}"), 422, "invalid")


@pytest.mark.parametrize("letter", ["x", NOBODYS, "%00"])
def test_letter_that_is_not_there_is_404(api: Api, letter: str) -> None:
    assert_problem(api.client.get(f"{PATH}/{letter}"), 404, "not_found")
    assert_problem(api.client.post(f"{PATH}/{letter}/replay"), 404, "not_found")


def test_list_is_filtered_and_pages_newest_first(api: Api) -> None:
    letters = sorted((bury(api, RENDER, {"job_id": NOBODYS}) for _ in range(5)), reverse=True)
    replayed = job_letter(api)
    api.client.post(f"{PATH}/{replayed}/replay")
    bury(api, RENDER, {"job_id": NOBODYS}, age=7200)
    (hour_ago,) = api.query("SELECT to_char(now() - interval '1 h', 'YYYY-MM-DD\"T\"HH24:MI:SSOF')")[0]
    params: dict[str, Any] = {"task": RENDER, "since": f"{hour_ago}:00", "limit": 2}
    found: list[str] = []
    while True:
        page = api.client.get(PATH, params=params).json()
        found += [each["dead_letter_id"] for each in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        params["cursor"] = page["next_cursor"]
    assert found == letters
    chosen = api.client.get(PATH, params={"replayed": True}).json()["data"]
    assert [each["dead_letter_id"] for each in chosen] == [replayed]
    assert len(api.client.get(PATH, params={"replayed": False}).json()["data"]) == 6
    assert len(api.client.get(PATH, params={"until": f"{hour_ago}:00"}).json()["data"]) == 1


def test_tracebacks_and_what_belongs_to_nobody_are_shown_where_keys_are_off(api: Api) -> None:
    ours, nobodys = bury(api, RENDER, {"job_id": NOBODYS}), bury(api, "unknown", {"text": "junk"}, None)
    bury(api, RENDER, {"job_id": NOBODYS}, "other")
    listed = api.client.get(PATH).json()["data"]
    assert {each["dead_letter_id"] for each in listed} == {ours, nobodys}
    assert {each["traceback"] for each in listed} == {None}
    assert api.client.get(f"{PATH}/{ours}").json()["traceback"] == "Traceback: /srv/secret.py"


def test_key_sees_and_replays_its_project_only_and_no_traceback(api: Api, guarded: Api) -> None:
    ours, theirs = bearer(guarded, "ours"), bearer(guarded, "theirs")
    client = guarded.client
    letter = job_letter(guarded, ours, "ours")
    bury(guarded, "unknown", {"text": "junk"}, None)
    assert client.get(PATH, headers=theirs).json()["data"] == []
    assert_problem(client.get(f"{PATH}/{letter}", headers=theirs), 404)
    assert_problem(client.post(f"{PATH}/{letter}/replay", headers=theirs), 404)
    many = {"task": FETCH, "since": "1970-01-01T00:00:00Z"}
    assert client.post(f"{PATH}/replay", params=many, headers=theirs).json()["replayed"] == 0
    assert guarded.query("SELECT count(*) FROM jobs") == [(1,)]
    shown = client.get(f"{PATH}/{letter}", headers=ours)
    assert shown.json()["traceback"] is None
    assert "secret.py" not in shown.text + client.get(PATH, headers=ours).text
    assert [each["dead_letter_id"] for each in client.get(PATH, headers=ours).json()["data"]] == [letter]
    assert client.post(f"{PATH}/replay", params=many, headers=ours).json()["replayed"] == 1
    ((by, audited, key),) = guarded.query(
        "SELECT replayed_by, (SELECT actor FROM audit WHERE action = 'dead_letter.replayed' AND target = %s), "
        "(SELECT k.prefix FROM jobs JOIN api_keys k ON k.id = api_key_id WHERE retry_of IS NOT NULL) "
        "FROM dead_letters WHERE id = %s",
        *(letter, letter),
    )
    assert by == audited == f"test ({key})"


def test_without_a_key_everything_is_401(guarded: Api) -> None:
    for method, path in [("GET", ""), ("GET", f"/{NOBODYS}"), ("POST", f"/{NOBODYS}/replay"), ("POST", "/replay")]:
        assert_problem(guarded.client.request(method, PATH + path), 401, "unauthenticated")
