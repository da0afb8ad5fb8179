"""Presets: versions that never change, jobs that keep what they started with, keys that may name nothing else."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.integration.api.running import Api, patiently, running_api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import leftovers
from pixmill_shared.service.keys import KeyOptions, create_key
from pixmill_shared.service.sealing import Sealer

SOURCE = {"url": "https://example.com/a.jpg"}
THINGS = {"kind": "generate", "items": [{"name": "Edamame"}]}
BUILTIN = ["avatar", "responsive", "social-card", "thumbnail", "web"]


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(postgres_url, tmp_path_factory.mktemp("presets") / "objects", PIXMILL_AUTH="on") as running:
        yield running


class User:
    """Of a project of its own, as an administrator unless told otherwise."""

    def __init__(self, api: Api, project: str, *scopes: Scope, presets_only: bool = False) -> None:
        database = Database(api.database_url)
        with database.session_scope() as session:
            options = KeyOptions(presets_only=presets_only)
            sealer = Sealer(["x" * 32])
            made = create_key(
                session, sealer, project=project, name="t", scopes=scopes or (Scope.ADMIN,), options=options
            )
            token = made.token
        database.dispose()
        self._headers = {"Authorization": f"Bearer {token}"}
        self._client = api.client

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.request(method, f"/api/v1{path}", json=body, headers={**self._headers, **named})

    def form(self, path: str, **fields: str) -> httpx.Response:
        return self._client.post(f"/api/v1{path}", headers=self._headers, data=fields, files={"file": b"x"})

    def put(self, name: str, width: int, description: str = "", **headers: str) -> httpx.Response:
        return self("PUT", f"/presets/{name}", {"recipe": sized(width), "description": description}, **headers)

    def job(self, preset: str) -> httpx.Response:
        return self("POST", "/jobs", {"source": SOURCE, "preset": preset})


def sized(width: int) -> dict[str, Any]:
    return {"outputs": [{"name": "a", "operations": [{"op": "resize", "width": width}]}]}


def width_of(api: Api, job: httpx.Response) -> int:
    recipe = api.query("SELECT recipe FROM jobs WHERE id = %s", job.json()["job_id"])[0][0]
    return int(recipe["outputs"][0]["operations"][0]["width"])


def test_first_version_is_201_the_next_200_and_the_same_again_none(guarded: Api) -> None:
    user = User(guarded, "versions")
    first = user.put("hero", 10, "one")
    assert first.status_code == 201, first.text
    assert first.headers["Location"].endswith("/api/v1/presets/hero")
    document = first.json()
    assert (document["version"], document["builtin"], document["description"]) == (1, False, "one")
    assert document["recipe"]["outputs"][0]["metadata"] == "strip"
    same = user("PUT", "/presets/hero", {"recipe": document["recipe"], "description": "one"})
    assert (same.status_code, same.json()) == (200, document)
    assert "Location" not in same.headers
    second = user.put("hero", 10, "two")
    assert (second.status_code, second.json()["version"]) == (200, 2)
    assert second.headers["ETag"] != first.headers["ETag"] == same.headers["ETag"]
    newest, old = user("GET", "/presets/hero"), user("GET", "/presets/hero?version=1")
    assert (newest.json(), newest.headers["ETag"]) == (second.json(), second.headers["ETag"])
    assert (old.json(), old.headers["ETag"]) == (document, first.headers["ETag"])
    assert_problem(user("GET", "/presets/hero?version=3"), 404, "not_found")
    assert guarded.query(
        "SELECT action, target, detail FROM audit WHERE project = 'versions' AND target = 'hero' ORDER BY id"
    ) == [
        ("preset.put", "hero", {"version": 1}),
        ("preset.put", "hero", {"version": 2}),
    ]


def test_job_keeps_the_recipe_that_it_started_with_and_its_retry_too(guarded: Api) -> None:
    user = User(guarded, "keeping")
    user.put("hero", 10)
    job = user.job("hero")
    assert job.status_code == 202, job.text
    assert job.json()["preset"] == {"name": "hero", "version": 1}
    user.put("hero", 20)
    assert width_of(guarded, job) == 10
    assert width_of(guarded, user.job("hero")) == 20
    assert width_of(guarded, user.job("hero@1")) == 10
    user("POST", f"/jobs/{job.json()['job_id']}/cancel")
    retry = user("POST", f"/jobs/{job.json()['job_id']}/retry")
    assert (width_of(guarded, retry), retry.json()["preset"]) == (10, {"name": "hero", "version": 1})
    own = user("POST", "/jobs", {"source": SOURCE, "recipe": sized(5)})
    assert own.json()["preset"] is None
    listed = user("GET", "/jobs?limit=2").json()["data"]
    assert [job["preset"] for job in listed] == [None, {"name": "hero", "version": 1}]


@pytest.mark.parametrize("preset", ["nothing", "web@1", "hero@2", "thumbnail@7"])
def test_preset_that_is_not_there_is_422_and_makes_no_job(guarded: Api, preset: str) -> None:
    user = User(guarded, "missing")
    user.put("hero", 10)
    before = guarded.traces()
    assert assert_problem(user.job(preset), 422)["errors"][0]["pointer"] == "/preset"
    body = {"image_url": SOURCE["url"], "preset": preset}
    assert assert_problem(user("POST", "/process", body), 422)["errors"][0]["pointer"] == "/preset"
    assert assert_problem(user.form("/process", preset=preset), 422)["errors"][0]["pointer"] == "/preset"
    assert guarded.traces() == before


def test_short_form_takes_a_preset_as_json_and_as_form(guarded: Api) -> None:
    user = User(guarded, "short")
    user.put("hero", 10)
    by_url = user("POST", "/process", {"image_url": SOURCE["url"], "preset": "hero"})
    by_form = user.form("/process", preset="hero", width="")
    for made in (by_url, by_form):
        assert made.status_code == 202, made.text
        assert (width_of(guarded, made), made.json()["preset"]["version"]) == (10, 1)
    both = user.form("/process", preset="hero", width="20")
    assert assert_problem(both, 422)["errors"][0]["pointer"] == "/preset"


def test_own_preset_hides_the_builtin_one_until_it_is_deleted(guarded: Api) -> None:
    user = User(guarded, "hiding")
    builtin = user("GET", "/presets/web").json()
    assert (builtin["builtin"], builtin["version"], builtin["created_at"]) == (True, 0, None)
    assert user("GET", "/presets/web?version=0").json() == builtin
    assert_problem(user("DELETE", "/presets/web"), 409, "conflict")
    assert user.put("web", 10).status_code == 201
    assert user("GET", "/presets/web").json()["builtin"] is False
    assert user("GET", "/presets/web?version=0").json() == builtin
    assert width_of(guarded, user.job("web")) == 10
    assert width_of(guarded, user.job("web@0")) == 1600
    deleted = user("DELETE", "/presets/web")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert user("GET", "/presets/web").json() == builtin
    assert width_of(guarded, user.job("web")) == 1600
    # What was deleted cannot be named any more, and its numbers are not given again.
    assert_problem(user("GET", "/presets/web?version=1"), 404)
    assert_problem(user.job("web@1"), 422)
    assert_problem(user("DELETE", "/presets/web"), 409)
    again = user.put("web", 10)
    assert (again.status_code, again.json()["version"]) == (201, 3)
    assert_problem(user("GET", "/presets/web?version=1"), 404)
    assert_problem(user("GET", "/presets/web?version=2"), 404)


def test_deleting_what_is_not_there_is_404_and_another_projects_preset_is_not(guarded: Api) -> None:
    user, other = User(guarded, "mine"), User(guarded, "other")
    other.put("hero", 10)
    for answer in (user("DELETE", "/presets/hero"), user("GET", "/presets/hero")):
        assert_problem(answer, 404, "not_found")
    assert_problem(user.job("hero"), 422)
    assert other("GET", "/presets/hero").status_code == 200
    assert user("GET", "/presets").json()["data"] == [
        preset for preset in other("GET", "/presets").json()["data"] if preset["name"] != "hero"
    ]


def test_list_is_by_name_with_the_builtin_ones_between_whatever_the_size_of_a_page(guarded: Api) -> None:
    user = User(guarded, "listing")
    for name in ("web", "a_b", "a-b", "zz", "0", "social-card2", "gone", "aa"):
        user.put(name, 10)
    user.put("zz", 20)
    user("DELETE", "/presets/gone")
    expected = sorted({*BUILTIN, "web", "a_b", "a-b", "zz", "0", "social-card2", "aa"})
    for limit in (1, 2, 3, 5, 11, 12, 200):
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = user("GET", f"/presets?limit={limit}{cursor}").json()
            assert len(page["data"]) <= limit
            found += page["data"]
            if not page["has_more"]:
                assert page["next_cursor"] is None
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert [preset["name"] for preset in found] == expected, limit
        assert {preset["name"] for preset in found if preset["builtin"]} == {*BUILTIN} - {"web"}
        assert next(preset["version"] for preset in found if preset["name"] == "zz") == 2
    assert_problem(user("GET", "/presets?cursor=%21%21"), 422)


def test_parallel_puts_get_different_versions(guarded: Api) -> None:
    user = User(guarded, "parallel")

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda width: patiently(lambda: user.put("hero", width)), range(1, 25)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 25))
    assert [answer.status_code for answer in answers].count(201) == 1
    for answer in answers:
        kept = user("GET", f"/presets/hero?version={answer.json()['version']}")
        assert kept.json() == answer.json()


def test_if_match_lets_one_of_two_editors_win(guarded: Api) -> None:
    user = User(guarded, "editors")
    assert_problem(user.put("hero", 1, If_Match="*"), 412, "precondition_failed")
    assert_problem(user.put("hero", 1, If_Match='"1"'), 412)
    seen = user.put("hero", 1).headers["ETag"]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda width: patiently(lambda: user.put("hero", width, If_Match=seen)), range(10, 14)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert_problem(user("DELETE", "/presets/hero", If_Match=seen), 412)
    newest = user("GET", "/presets/hero")
    assert newest.json()["version"] == 2
    assert user("DELETE", "/presets/hero", If_Match=newest.headers["ETag"]).status_code == 204
    builtin = user("GET", "/presets/web").headers["ETag"]
    assert user.put("web", 9, If_Match=builtin).status_code == 201


@pytest.mark.parametrize("name", ["Web", "-a", "a.b", "a" * 65, "a%20b", "%00"])
def test_name_that_is_none_is_422_and_nothing_is_kept(guarded: Api, name: str) -> None:
    user = User(guarded, "names")
    assert assert_problem(user.put(name, 1), 422)["errors"][0]["pointer"] == "/path/name"
    assert guarded.query("SELECT count(*) FROM presets WHERE project = 'names'") == [(0,)]


def test_wrong_preset_is_422_with_pointers_and_nothing_is_kept(guarded: Api) -> None:
    user = User(guarded, "wrong")
    watermark = {"op": "watermark", "image": {"upload_id": "01890a5d-ac96-774b-bcce-b302099a8057"}}
    for recipe, pointer in [
        ({"outputs": [{"name": "a", "x": 1}]}, "/recipe/outputs/0/x"),
        ({"outputs": [{"name": f"o{i}"} for i in range(21)]}, "/recipe/outputs"),
        (
            {"outputs": [{"name": "a", "operations": [watermark]}]},
            "/recipe/outputs/0/operations/0/image/upload_id",
        ),
    ]:
        answer = user("PUT", "/presets/hero", {"recipe": recipe})
        assert [error["pointer"] for error in assert_problem(answer, 422)["errors"]] == [pointer]
    assert guarded.query("SELECT count(*) FROM presets WHERE project = 'wrong'") == [(0,)]


def test_only_administrators_write_presets_and_readers_read_them(guarded: Api) -> None:
    writer, reader = User(guarded, "scopes", Scope.WRITE), User(guarded, "scopes", Scope.READ)
    for user in (writer, reader):
        assert_problem(user.put("hero", 1), 403, "forbidden")
        assert_problem(user("DELETE", "/presets/web"), 403, "forbidden")
    assert reader("GET", "/presets").status_code == 200
    assert writer.job("web").status_code == 202


def test_key_for_presets_only_sends_no_recipe_of_its_own(guarded: Api) -> None:
    User(guarded, "held").put("hero", 10)
    user = User(guarded, "held", Scope.WRITE, presets_only=True)
    before = guarded.traces()
    for answer in (
        user("POST", "/jobs", {"source": SOURCE, "recipe": sized(5)}),
        user("POST", "/process", {"image_url": SOURCE["url"]}),
        user("POST", "/process", {"image_url": SOURCE["url"], "width": 10}),
        user.form("/process", width="10"),
        user("POST", "/jobs", THINGS),
        user("POST", "/jobs", {**THINGS, "recipe": sized(5)}),
    ):
        assert_problem(answer, 403, "preset_required")
    assert guarded.traces() == before
    assert user.job("hero").status_code == 202
    assert user.job("web").status_code == 202
    assert user.form("/process", preset="hero@1").status_code == 202
    assert user("POST", "/jobs", {**THINGS, "preset": "hero"}).status_code == 202


def upload(api: Api, user: User, data: bytes) -> str:
    headers = {**user._headers, "Content-Type": "image/png"}
    return str(api.client.post("/api/v1/uploads", content=data, headers=headers).json()["upload_id"])


def sweep(api: Api, *upload_ids: str) -> int:
    """How many of the uploads a sweep takes."""
    import uuid

    database = Database(api.database_url)
    with database.session_scope() as session:
        taken = leftovers.delete_unused_uploads(session, [uuid.UUID(upload_id) for upload_id in upload_ids])
    database.dispose()
    return len(taken)


def marked(upload_id: str) -> dict[str, Any]:
    return {"outputs": [{"name": "a", "operations": [{"op": "watermark", "image": {"upload_id": upload_id}}]}]}


def test_watermark_of_a_preset_is_pinned_and_stays_until_the_preset_is_deleted(guarded: Api) -> None:
    user = User(guarded, "marks")
    logo, newer, unused = (upload(guarded, user, data) for data in (b"logo", b"newer", b"unused"))
    assert user("PUT", "/presets/mark", {"recipe": marked(logo)}).status_code == 201
    assert user("PUT", "/presets/mark", {"recipe": marked(newer)}).status_code == 200
    assert sweep(guarded, logo, newer, unused) == 1
    job = user.job("mark@1")
    assert job.status_code == 202, job.text
    image = guarded.query("SELECT recipe FROM jobs WHERE id = %s", job.json()["job_id"])[0][0]["outputs"][0]
    assert image["operations"][0]["image"]["upload_id"] == logo
    assert len(image["operations"][0]["image"]["sha256"]) == 64
    used = guarded.query("SELECT upload_id::text FROM job_uploads WHERE job_id = %s", job.json()["job_id"])
    assert used == [(logo,)]
    user("DELETE", "/presets/mark")
    assert sweep(guarded, logo, newer) == 1


def test_preset_whose_watermark_is_gone_is_422_at_the_preset(guarded: Api) -> None:
    user = User(guarded, "lost")
    logo = upload(guarded, user, b"logo")
    user("PUT", "/presets/mark", {"recipe": marked(logo)})
    guarded.query("DELETE FROM uploads WHERE id = %s", logo)
    error = assert_problem(user.job("mark"), 422)["errors"][0]
    assert error["pointer"] == "/preset"
    assert "/outputs/0/operations/0/image/upload_id" in error["detail"]
