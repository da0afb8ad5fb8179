"""Keys over HTTP: shown once, of one project, and all that is done to them is in the audit."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.api.bearers import bearing, made_key
from tests.integration.api.running import Api, running_api
from tests.integration.api.test_bad_input import assert_problem
from tests.waiting import eventually

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import expire_keys

PATH = "/api/v1/keys"
CACHED = 1.0


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    place = tmp_path_factory.mktemp("keys") / "objects"
    settings = {"PIXMILL_AUTH": "on", "PIXMILL_KEY_CACHE_TTL": str(CACHED)}
    with running_api(postgres_url, place, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def admin(guarded: Api) -> dict[str, str]:
    return bearing(made_key(guarded, "shop", {Scope.ADMIN}))


def make(api: Api, headers: dict[str, str], **body: Any) -> dict[str, Any]:
    answer = api.client.post(PATH, json={"name": "made", **body}, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(api: Api, token: str) -> int:
    return api.client.get("/api/v1/jobs", headers={"Authorization": f"Bearer {token}"}).status_code


def audited(api: Api, key_id: str) -> list[tuple[Any, ...]]:
    return api.query("SELECT action, actor, project, request_id FROM audit WHERE target = %s ORDER BY id", key_id)


def test_made_key_works_at_once_and_its_secrets_are_in_no_other_answer_and_no_row(
    guarded: Api, admin: dict[str, str]
) -> None:
    answer = guarded.client.post(PATH, json={"name": "till"}, headers=admin)
    made = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, made["urls"]["self"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert made["token"].startswith(made["prefix"])
    assert made["webhook_secret"].startswith("whsec_")
    assert (made["scopes"], made["rate_limit"], made["expires_at"]) == (["jobs:read", "jobs:write"], None, None)
    assert status(guarded, made["token"]) == 200
    others = [guarded.client.get(path, headers=admin) for path in (PATH, f"{PATH}/{made['key_id']}", "/api/v1/audit")]
    rows = guarded.query("SELECT k::text FROM api_keys k") + guarded.query("SELECT a::text FROM audit a")
    shown = " ".join([other.text for other in others] + [str(row) for row in rows])
    assert made["key_id"] in shown
    for secret in (made["token"], made["webhook_secret"]):
        assert secret not in shown
    assert guarded.query("SELECT project FROM api_keys WHERE id = %s", made["key_id"]) == [("shop",)]


def test_same_idempotency_key_shows_the_same_token_again_and_makes_one_key(guarded: Api, admin: dict[str, str]) -> None:
    headers = {**admin, "Idempotency-Key": "one key"}
    answers = [guarded.client.post(PATH, json={"name": "once"}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert guarded.query("SELECT count(*) FROM api_keys WHERE name = 'once'") == [(1,)]
    (kept,) = guarded.query("SELECT body FROM idempotency_records WHERE key = 'one key'")
    assert answers[0].json()["token"].encode() not in bytes(kept[0])


def test_wishes_of_a_new_key_are_kept(guarded: Api, admin: dict[str, str]) -> None:
    wanted = {"scopes": ["jobs:read"], "presets_only": True, "rate_limit": 7, "max_unfinished": 0}
    made = make(guarded, admin, **wanted, expires_in=3600)
    assert {name: made[name] for name in wanted} == wanted
    ((left,),) = guarded.query(
        "SELECT extract(epoch FROM expires_at - created_at)::float8 FROM api_keys WHERE id = %s", made["key_id"]
    )
    assert left == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "a" * 101}, "/name"),
        ({"name": "a", "scopes": []}, "/scopes"),
        ({"name": "a", "scopes": ["jobs:read", "jobs:read"]}, "/scopes"),
        ({"name": "a", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "a", "rate_limit": -1}, "/rate_limit"),
        ({"name": "a", "rate_limit": True}, "/rate_limit"),
        ({"name": "a", "max_unfinished": 10**30}, "/max_unfinished"),
        ({"name": "a", "expires_in": 0}, "/expires_in"),
        ({"name": "a", "presets_only": "yes"}, "/presets_only"),
        ({"name": "a", "project": "other"}, "/project"),
    ],
)
def test_wrong_wish_is_422_and_makes_nothing(
    guarded: Api, admin: dict[str, str], body: dict[str, Any], pointer: str
) -> None:
    before = guarded.query("SELECT count(*) FROM api_keys")
    refused = assert_problem(guarded.client.post(PATH, json=body, headers=admin), 422, "invalid")
    assert pointer in [error["pointer"] for error in refused["errors"]]
    assert guarded.query("SELECT count(*) FROM api_keys") == before


def test_change_counts_from_the_next_request(guarded: Api, admin: dict[str, str]) -> None:
    made = make(guarded, admin, max_unfinished=1, rate_limit=60)
    assert status(guarded, made["token"]) == 200
    changed = guarded.client.patch(f"{PATH}/{made['key_id']}", json={"rate_limit": None, "name": "new"}, headers=admin)
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["rate_limit"], changed.json()["max_unfinished"]) == ("new", None, 1)
    assert "token" not in changed.json()
    same = guarded.client.patch(f"{PATH}/{made['key_id']}", json={}, headers=admin).json()
    assert same == changed.json()
    for wrong in ({"name": None}, {"scopes": ["admin"]}, {"rate_limit": "5"}):
        assert_problem(guarded.client.patch(f"{PATH}/{made['key_id']}", json=wrong, headers=admin), 422, "invalid")


def test_revoked_key_is_401_and_stays_so(guarded: Api, admin: dict[str, str]) -> None:
    made = make(guarded, admin)
    path = f"{PATH}/{made['key_id']}"
    assert status(guarded, made["token"]) == 200
    assert [guarded.client.delete(path, headers=admin).status_code for _ in range(2)] == [204, 204]
    # This process knows at once; others would within PIXMILL_KEY_CACHE_TTL.
    assert status(guarded, made["token"]) == 401
    assert guarded.client.get(path, headers=admin).json()["revoked_at"] is not None
    assert_problem(guarded.client.patch(path, json={"name": "x"}, headers=admin), 409, "conflict")
    assert_problem(guarded.client.post(f"{path}/rotate", headers=admin), 409, "conflict")
    assert [row[0] for row in audited(guarded, made["key_id"])] == ["key.created", "key.revoked"]


def test_expired_key_is_401_before_anybody_has_marked_it(guarded: Api, admin: dict[str, str]) -> None:
    made = make(guarded, admin, expires_in=3600)
    assert status(guarded, made["token"]) == 200
    guarded.query("UPDATE api_keys SET expires_at = clock_timestamp() WHERE id = %s", made["key_id"])
    eventually(lambda: status(guarded, made["token"]) == 401, 60)
    assert guarded.query(
        "SELECT revoked_at IS NULL, expires_at <= clock_timestamp() FROM api_keys WHERE id = %s", made["key_id"]
    ) == [(True, True)]
    database = Database(guarded.database_url)
    assert expire_keys(database) == 1
    assert expire_keys(database) == 0
    database.dispose()
    assert guarded.query("SELECT revoked_at = expires_at FROM api_keys WHERE id = %s", made["key_id"]) == [(True,)]
    assert audited(guarded, made["key_id"])[-1][:2] == ("key.expired", "pixmill")


def test_rotated_secret_is_shown_once_and_not_rotated_again_within_the_grace(
    guarded: Api, admin: dict[str, str]
) -> None:
    made = make(guarded, admin)
    path = f"{PATH}/{made['key_id']}/rotate"
    own = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    rotated = guarded.client.post(path, json={"secret": own}, headers=admin)
    assert (rotated.status_code, rotated.json()["webhook_secret"]) == (200, own)
    assert rotated.headers["Cache-Control"] == "no-store"
    shown = guarded.client.get(f"{PATH}/{made['key_id']}", headers=admin).json()
    assert shown["former_secret_expires_at"] == rotated.json()["former_expires_at"]
    assert_problem(guarded.client.post(path, headers=admin), 409, "conflict")
    guarded.query("UPDATE api_keys SET former_secret_expires_at = now() - interval '1 s' WHERE id = %s", made["key_id"])
    database = Database(guarded.database_url)
    expire_keys(database)
    database.dispose()
    assert guarded.query(
        "SELECT former_secret, former_secret_expires_at FROM api_keys WHERE id = %s", made["key_id"]
    ) == [(None, None)]
    assert guarded.client.post(path, headers=admin).status_code == 200
    assert status(guarded, made["token"]) == 200, "the token stays as it is"


def test_another_projects_keys_and_audit_are_not_there(guarded: Api, admin: dict[str, str]) -> None:
    theirs = make(guarded, bearing(made_key(guarded, "elsewhere", {Scope.ADMIN})))
    path = f"{PATH}/{theirs['key_id']}"
    for method, where, body in [
        ("GET", path, None),
        ("PATCH", path, {"name": "mine"}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate", {}),
    ]:
        assert_problem(guarded.client.request(method, where, json=body, headers=admin), 404, "not_found")
    assert status(guarded, theirs["token"]) == 200
    listed = guarded.client.get(PATH, params={"limit": 200}, headers=admin).text
    assert theirs["key_id"] not in listed + guarded.client.get("/api/v1/audit", headers=admin).text


@pytest.mark.parametrize("given", ["x", "00000000-0000-0000-0000-000000000000", "%00", "a" * 10_000])
def test_id_of_no_key_is_404(guarded: Api, admin: dict[str, str], given: str) -> None:
    assert_problem(guarded.client.get(f"{PATH}/{given}", headers=admin), 404, "not_found")


def test_audit_says_who_did_what_and_is_read_page_by_page(guarded: Api) -> None:
    key = made_key(guarded, "audited", {Scope.ADMIN})
    headers = {**bearing(key), "X-Request-ID": "audit-1"}
    made = make(guarded, headers, name="till")
    guarded.client.patch(f"{PATH}/{made['key_id']}", json={"rate_limit": 5}, headers=headers)
    guarded.client.delete(f"{PATH}/{made['key_id']}", headers=headers)
    endpoint = guarded.client.post("/api/v1/endpoints", json={"url": "https://example.com/hook"}, headers=headers)
    first = guarded.client.get("/api/v1/audit", params={"limit": 3}, headers=headers).json()
    second = guarded.client.get("/api/v1/audit", params={"cursor": first["next_cursor"]}, headers=headers).json()
    records = first["data"] + second["data"]
    assert [(each["action"], each["target"]) for each in records] == [
        ("endpoint.created", endpoint.json()["endpoint_id"]),
        ("key.revoked", made["key_id"]),
        ("key.changed", made["key_id"]),
        ("key.created", made["key_id"]),
        ("key.created", str(key.key.id)),
    ]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert {(each["actor"], each["request_id"]) for each in records[:4]} == {(f"test ({key.key.prefix})", "audit-1")}
    assert records[2]["detail"] == {"rate_limit": 5}


def test_what_is_refused_leaves_no_record(guarded: Api, admin: dict[str, str]) -> None:
    before = guarded.query("SELECT count(*) FROM audit")
    assert_problem(guarded.client.post(PATH, json={"name": ""}, headers=admin), 422)
    assert_problem(guarded.client.delete(f"{PATH}/{'0' * 8}-0000-0000-0000-{'0' * 12}", headers=admin), 404)
    assert guarded.query("SELECT count(*) FROM audit") == before
