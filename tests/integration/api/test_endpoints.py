"""Endpoints over HTTP: what is shown, what is refused, what is shown once only."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import NOBODYS, assert_problem
from tests.integration.api.test_keys import bearer

from pixmill_shared.domain.webhook_secrets import is_secret
from pixmill_shared.service.sealing import Sealer

PATH = "/api/v1/endpoints"
URL = "https://example.com/hook"
MINE = "whsec_" + base64.b64encode(b"a secret of a former system, 32 b").decode()


@pytest.fixture(autouse=True)
def _empty(api: Api) -> None:
    api.query("TRUNCATE jobs, endpoints, alerts, idempotency_records CASCADE")


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(
        *(postgres_url, tmp_path_factory.mktemp("keys") / "objects"),
        PIXMILL_AUTH="on",
        PIXMILL_MAX_ENDPOINTS="2",
        PIXMILL_EGRESS_ALLOW="10.1.0.0/16:9000",
    ) as running:
        yield running


def make(api: Api, headers: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    answer = api.client.post(PATH, json={"url": URL, **fields}, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def deliver_to(api: Api, endpoint: str, status: str = "failed", **columns: Any) -> str:
    """A delivery as the notifier leaves it."""
    made = str(columns.pop("id", uuid.uuid4()))
    values = {"run_at": None, "replay_of": None, **columns}
    api.query(
        "INSERT INTO deliveries "
        "(id, project, status, queue, event_id, event_type, endpoint_id, url, run_at, replay_of) "
        "VALUES (%s, 'default', %s, 'notifier', %s, 'ping', %s, 'https://example.com/hook?token=theirs', %s, %s)",
        *(made, status, str(uuid.uuid4()), endpoint, values["run_at"], values["replay_of"]),
    )
    return made


def test_created_endpoint_tells_its_secret_once_and_keeps_it_encrypted(api: Api) -> None:
    answer = api.client.post(PATH, json={"url": URL, "events": ["job.failed"], "description": "Ours"})
    made = answer.json()
    secret = made.pop("secret")
    assert is_secret(secret)
    assert (answer.status_code, answer.headers["Location"]) == (201, made["urls"]["self"])
    assert answer.headers["Cache-Control"] == "no-store"
    shown = api.client.get(made["urls"]["self"])
    assert shown.json() == made
    assert (made["url"], made["events"], made["description"], made["disabled"]) == (URL, ["job.failed"], "Ours", False)
    assert api.client.get(PATH).json()["data"] == [made]
    kept = bytes(api.query("SELECT secret FROM endpoint_secrets")[0][0])
    assert secret.encode() not in kept
    assert Sealer(["a key for tests only, 0123456789"]).unseal(kept) == secret


def test_own_secret_is_taken(api: Api) -> None:
    assert make(api, secret=MINE)["secret"] == MINE


def test_same_idempotency_key_makes_one_endpoint_and_its_record_holds_no_secret(api: Api) -> None:
    body, headers = {"url": URL, "headers": {"authorization": "Bearer theirs"}}, {"Idempotency-Key": "once"}
    first, second = (api.client.post(PATH, json=body, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert api.query("SELECT count(*) FROM endpoints") == [(1,)]
    rows = str([bytes(row[0]) for row in api.query("SELECT body FROM idempotency_records")])
    assert first.json()["secret"] not in rows
    assert "Bearer theirs" not in str(api.query("SELECT * FROM endpoints"))


def test_answer_that_no_secret_key_opens_any_more_is_409_and_makes_nothing(api: Api) -> None:
    headers = {"Idempotency-Key": "of a former key"}
    assert api.client.post(PATH, json={"url": URL}, headers=headers).status_code == 201
    sealed = Sealer(["a key that was exchanged, and is not there as the previous one"]).seal("{}")
    api.query("UPDATE idempotency_records SET body = %s", sealed)
    assert_problem(api.client.post(PATH, json={"url": URL}, headers=headers), 409, "conflict")
    assert api.query("SELECT count(*) FROM endpoints") == [(1,)]


def test_headers_are_shown_by_name_only(api: Api) -> None:
    made = api.client.post(PATH, json={"url": URL, "headers": {"X-Token": "theirs"}}).json()
    assert made["header_names"] == ["x-token"]
    assert "theirs" not in json.dumps(made)
    changed = api.client.patch(f"{PATH}/{made['endpoint_id']}", json={"headers": {}}).json()
    assert changed["header_names"] == []
    assert api.query("SELECT headers FROM endpoints") == [(None,)]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "https://user:pass@example.com/"}, "/url"),
        ({"url": "https://example.com/#part"}, "/url"),
        ({"url": "https://example.com/" + "x" * 2000}, "/url"),
        ({"url": "ftp://example.com/"}, "/url"),
        ({"url": "file:///etc/passwd"}, "/url"),
        ({"url": "/hook"}, "/url"),
        ({"url": "http://127.0.0.1/"}, "/url"),
        ({"url": "http://[::1]/"}, "/url"),
        ({"url": "http://0x7f.1/"}, "/url"),
        ({"url": "http://169.254.169.254/latest"}, "/url"),
        ({}, "/url"),
        ({"url": URL, "events": ["job.exploded"]}, "/events"),
        ({"url": URL, "events": ["ping"]}, "/events"),
        ({"url": URL, "events": ["job.failed", "job.failed"]}, "/events"),
        ({"url": URL, "description": "x" * 501}, "/description"),
        ({"url": URL, "secret": "mine"}, "/secret"),
        ({"url": URL, "secret": "whsec_" + base64.b64encode(b"x" * 23).decode()}, "/secret"),
        ({"url": URL, "secret": "whsec_" + base64.b64encode(b"x" * 65).decode()}, "/secret"),
        ({"url": URL, "secret": base64.b64encode(b"x" * 32).decode()}, "/secret"),
        ({"url": URL, "headers": {"Webhook-Signature": "v1,forged"}}, "/headers/Webhook-Signature"),
        ({"url": URL, "headers": {"content-type": "text/plain"}}, "/headers/content-type"),
        ({"url": URL, "headers": {"Host": "internal"}}, "/headers/Host"),
        ({"url": URL, "headers": {"x": "a\r\ny: b"}}, "/headers/x"),
        ({"url": URL, "headers": {"x y": "a"}}, "/headers/x y"),
        ({"url": URL, "headers": {"x": 1}}, "/headers/x"),
        ({"url": URL, "headers": {"x": "a", "X": "b"}}, "/headers"),
        ({"url": URL, "headers": {f"x-{number}": "a" for number in range(21)}}, "/headers"),
        ({"url": URL, "colour": "red"}, "/colour"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_wrong_endpoint_is_422_with_a_pointer_and_nothing_is_kept(api: Api, body: dict[str, Any], pointer: str) -> None:
    problem = assert_problem(api.client.post(PATH, json=body), 422, "invalid")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert "pass@" not in json.dumps(problem)
    assert api.query("SELECT (SELECT count(*) FROM endpoints) + (SELECT count(*) FROM endpoint_secrets)") == [(0,)]


def test_name_of_another_script_is_kept_as_punycode(api: Api) -> None:
    assert make(api, url="https://bücher.example/hook")["url"] == "https://xn--bcher-kva.example/hook"
    assert make(api, url="https://xn--bcher-kva.example/hook")["url"] == "https://xn--bcher-kva.example/hook"


@pytest.mark.parametrize(
    "wrong", ["https://example.com/#part", "https://example.com/" + "x" * 2000, "ftp://a.example/"]
)
def test_webhook_url_of_a_job_is_held_to_the_same_rules(api: Api, wrong: str) -> None:
    body = {"image_url": "https://example.com/a.jpg", "webhook_url": wrong}
    problem = assert_problem(api.client.post("/api/v1/process", json=body), 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == ["/webhook_url"]


def test_disabled_endpoint_is_sent_nothing_by_hand_and_enabled_again_it_begins_anew(api: Api) -> None:
    made = make(api)
    path = f"{PATH}/{made['endpoint_id']}"
    off = api.client.patch(path, json={"disabled": True}).json()
    assert (off["disabled"], off["disabled_reason"]) == (True, "requested")
    assert_problem(api.client.post(f"{path}/ping"), 409, "conflict")
    assert_problem(api.client.post(f"{path}/recover", params={"since": "2020-01-01T00:00:00Z"}), 409, "conflict")
    delivery = deliver_to(api, made["endpoint_id"])
    assert_problem(api.client.post(f"/api/v1/deliveries/{delivery}/resend"), 409, "conflict")
    assert api.query("SELECT count(*) FROM deliveries") == [(1,)]
    api.query("UPDATE endpoints SET failing_since = now(), disabled_reason = 'failing'")
    on = api.client.patch(path, json={"disabled": False}).json()
    assert (on["disabled"], on["disabled_at"], on["disabled_reason"], on["failing_since"]) == (False, None, None, None)


def test_changed_url_is_where_waiting_deliveries_go(api: Api) -> None:
    made = make(api)
    waiting = deliver_to(api, made["endpoint_id"], "queued", run_at="2040-01-01T00:00:00Z")
    over = deliver_to(api, made["endpoint_id"], "completed")
    api.client.patch(f"{PATH}/{made['endpoint_id']}", json={"url": "https://new.example/hook"})
    urls = dict(api.query("SELECT id, url || ' ' || host FROM deliveries"))
    assert urls[waiting] == "https://new.example/hook new.example"
    assert urls[over].startswith("https://example.com/hook")


def test_rotation_shows_the_new_secret_once_and_both_sign_until_the_grace_is_over(api: Api) -> None:
    made = make(api)
    path = f"{PATH}/{made['endpoint_id']}/rotate"
    answer = api.client.post(path)
    new = answer.json()
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert is_secret(new["secret"])
    assert new["secret"] != made["secret"]
    seconds = api.query("SELECT extract(epoch FROM expires_at - now()) FROM endpoint_secrets ORDER BY id")
    assert [None if each[0] is None else round(float(each[0]) / 3600) for each in seconds] == [24, None]
    assert api.client.post(path, json={"secret": MINE}).json()["secret"] == MINE
    for _ in range(2):
        assert api.client.post(path).status_code == 200
    assert_problem(api.client.post(path), 409, "conflict")


def test_ping_makes_one_delivery_that_can_be_looked_at(api: Api) -> None:
    made = make(api)
    headers = {"Idempotency-Key": "ping"}
    answers = [api.client.post(f"{PATH}/{made['endpoint_id']}/ping", headers=headers) for _ in range(2)]
    delivery = answers[0].json()
    assert [answer.status_code for answer in answers] == [202, 202]
    assert (delivery["type"], delivery["status"], delivery["endpoint_id"]) == ("ping", "queued", made["endpoint_id"])
    assert api.client.get(answers[0].headers["Location"]).json() == delivery
    assert api.query("SELECT count(*) FROM deliveries") == [(1,)]


def test_log_is_listed_by_endpoint_by_job_and_by_status_with_its_tries(api: Api) -> None:
    one, other = make(api)["endpoint_id"], make(api)["endpoint_id"]
    first, second = deliver_to(api, one), deliver_to(api, one, "completed")
    deliver_to(api, other)
    api.query(
        "INSERT INTO delivery_attempts (delivery_id, fence, status_code, duration_ms, response_excerpt) "
        "VALUES (%s, 1, 500, 12, 'no luck'), (%s, 2, NULL, 10000, NULL)",
        *(first, first),
    )
    params = {"endpoint": one, "status": "failed"}
    page = api.client.get("/api/v1/deliveries", params=params).json()
    assert [each["delivery_id"] for each in page["data"]] == [first]
    assert [(each["status_code"], each["duration_ms"]) for each in page["data"][0]["attempts"]] == [
        (500, 12),
        (None, 10000),
    ]
    assert page["data"][0]["url"] == URL, "what may be a token is not shown"
    shown = api.client.get(f"/api/v1/deliveries/{first}").json()
    assert [each["response_excerpt"] for each in shown["attempts"]] == ["no luck", None]
    assert api.client.get("/api/v1/deliveries", params={"job": NOBODYS}).json()["data"] == []
    seen, cursor = [], None
    while True:
        page = api.client.get(
            "/api/v1/deliveries", params={"limit": 1, **({"cursor": cursor} if cursor else {})}
        ).json()
        seen += [each["delivery_id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if not page["has_more"]:
            break
    assert len(seen) == 3
    assert {first, second} < set(seen)
    assert_problem(api.client.get("/api/v1/deliveries", params={"endpoint": "x"}), 422)


def test_resent_delivery_is_new_and_one_that_waits_is_due_at_once(api: Api) -> None:
    endpoint = make(api)["endpoint_id"]
    over, busy = deliver_to(api, endpoint), deliver_to(api, endpoint, "processing")
    waiting = deliver_to(api, endpoint, "queued", run_at="2040-01-01T00:00:00Z")
    made = api.client.post(f"/api/v1/deliveries/{over}/resend")
    again = made.json()
    assert (made.status_code, again["replay_of"], again["status"]) == (202, over, "queued")
    assert again["message_id"] == api.client.get(f"/api/v1/deliveries/{over}").json()["message_id"]
    hurried = api.client.post(f"/api/v1/deliveries/{waiting}/resend").json()
    assert (hurried["delivery_id"], hurried["next_attempt_at"]) == (waiting, None)
    assert_problem(api.client.post(f"/api/v1/deliveries/{busy}/resend"), 409, "conflict")
    assert api.query("SELECT count(*) FROM deliveries") == [(4,)]


def test_recover_sends_each_failure_since_then_once(api: Api) -> None:
    endpoint = make(api)["endpoint_id"]
    old = deliver_to(api, endpoint, id="01890a5d-ac96-774b-bcce-b302099a8057")
    now = int(time.time() * 1000) << 80 | 0x7 << 76 | 0x2 << 62
    failed, skipped, delivered, resent, repetition = (uuid.UUID(int=now + number) for number in range(5))
    deliver_to(api, endpoint, id=failed)
    deliver_to(api, endpoint, "canceled", id=skipped)
    deliver_to(api, endpoint, "completed", id=delivered)
    deliver_to(api, endpoint, id=resent)
    deliver_to(api, endpoint, "completed", id=repetition, replay_of=str(resent))
    params = {"since": "2025-01-01T00:00:00Z"}
    path = f"{PATH}/{endpoint}/recover"
    assert api.client.post(path, params=params).json() == {"recovered": 2, "has_more": False}
    assert api.client.post(path, params=params).json() == {"recovered": 0, "has_more": False}
    made = api.query("SELECT replay_of, status FROM deliveries WHERE replay_of IS NOT NULL AND status = 'queued'")
    assert sorted(made) == sorted([(str(failed), "queued"), (str(skipped), "queued")])
    assert api.client.post(path, params={"since": "1000-01-01T00:00:00Z"}).json()["recovered"] == 1
    assert api.query("SELECT count(*) FROM deliveries WHERE replay_of = %s", old) == [(1,)]
    assert_problem(api.client.post(path), 422)
    assert_problem(api.client.post(path, params={"since": "2025-01-01T00:00:00"}), 422)


def test_deleted_endpoint_is_gone_with_its_log(api: Api) -> None:
    made = make(api)["endpoint_id"]
    deliver_to(api, made)
    answer = api.client.delete(f"{PATH}/{made}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(api.client.get(f"{PATH}/{made}"), 404)
    assert_problem(api.client.delete(f"{PATH}/{made}"), 404)
    assert api.query("SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM endpoint_secrets)") == [(0,)]


def test_endpoints_of_another_project_are_404_and_a_project_may_have_so_many(guarded: Api) -> None:
    ours, theirs = bearer(guarded, "ours"), bearer(guarded, "theirs")
    made = make(guarded, ours)["endpoint_id"]
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("POST", "/ping"),
        ("POST", "/recover?since=2025-01-01T00:00:00Z"),
    ):
        assert_problem(guarded.client.request(method, f"{PATH}/{made}{path}", headers=theirs), 404)
    assert_problem(guarded.client.patch(f"{PATH}/{made}", json={"disabled": True}, headers=theirs), 404)
    assert guarded.client.get(PATH, headers=theirs).json()["data"] == []
    delivery = guarded.client.post(f"{PATH}/{made}/ping", headers=ours).json()["delivery_id"]
    assert_problem(guarded.client.get(f"/api/v1/deliveries/{delivery}", headers=theirs), 404)
    assert_problem(guarded.client.post(f"/api/v1/deliveries/{delivery}/resend", headers=theirs), 404)
    assert_problem(guarded.client.get(PATH), 401)
    make(guarded, ours, url="http://10.1.2.3:9000/allowed")
    refused = guarded.client.post(PATH, json={"url": URL}, headers=ours)
    assert_problem(refused, 409, "conflict")
    assert guarded.query("SELECT count(*) FROM endpoints") == [(2,)]
