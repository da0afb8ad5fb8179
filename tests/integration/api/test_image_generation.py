"""Menus: sent, watched by their status, and answered category by category."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.integration.api.generating import PICTURE, carded, drawn, generate, items_of, job, skipped, work
from tests.integration.api.running import Api, running_api

EDAMAME = {"japanese_name": "枝豆", "english_name": "Edamame", "description": "…", "price": "¥480", "id": 7}
MENU: dict[str, list[dict[str, Any]]] = {
    "飲み物": [],
    "前菜": [EDAMAME, {"japanese_name": "冷奴"}],
    "Mains": [{"english_name": "Today's Special", "zutaten": ["Reis", {"b": 1, "a": 2}], "description": None}],
    "前菜 2": [{"english_name": "Edamame", "japanese_name": ""}],
}


@pytest.fixture(scope="module")
def apis(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Api]]:
    """One as it is, one that generates nothing, one that takes no menus: of the same database."""
    directory = tmp_path_factory.mktemp("menus")
    with (
        running_api(postgres_url, directory / "objects", PIXMILL_MAX_GENERATION_ITEMS="20") as usual,
        running_api(postgres_url, directory / "off", IMAGE_GENERATION_ENABLED="false") as off,
    ):
        yield {"usual": usual, "off": off}


@pytest.fixture
def api(apis: dict[str, Api]) -> Api:
    return apis["usual"]


def sent(api: Api, menu: Any, headers: dict[str, str] | None = None, **changes: Any) -> httpx.Response:
    # Halves of surrogate pairs can be written in JSON, and not in UTF-8.
    content = json.dumps({"final_menu": menu, **changes})
    headers = {"Content-Type": "application/json", **(headers or {})}
    return api.client.post("/api/v1/image/generate-async", content=content, headers=headers)


def accepted(api: Api, menu: Any, **changes: Any) -> dict[str, Any]:
    answer = sent(api, menu, **changes)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def status(api: Api, job_id: str) -> dict[str, Any]:
    answer = api.client.get(f"/api/v1/image/status/{job_id}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def traces(api: Api) -> list[tuple[Any, ...]]:
    return api.query("SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM generation_items)")


def test_menu_is_accepted_with_where_to_look_and_how_long_it_may_take(api: Api) -> None:
    answer = sent(api, MENU, session_id="table-7")
    told = answer.json()
    assert answer.status_code == 202, answer.text
    assert (told["success"], told["status"], told["total_items"], told["session_id"]) == (True, "queued", 4, "table-7")
    assert told["status_endpoint"] == f"/api/v1/image/status/{told['job_id']}"
    assert answer.headers["Location"] == api.url + told["status_endpoint"]
    assert int(answer.headers["Retry-After"]) > 0
    assert isinstance(told["estimated_time_seconds"], int)
    assert told["estimated_time_seconds"] > 0
    found = status(api, told["job_id"])
    assert (found["job_id"], found["status"], found["progress_percent"]) == (told["job_id"], "queued", 0)
    info = found["processing_info"]
    counts = {"total_chunks": 2, "completed_chunks": 0, "total_items": 4, "completed_items": 0, "started_at": None}
    assert info.items() >= counts.items()
    assert info["estimated_time_seconds"] == told["estimated_time_seconds"]
    assert (found["images_generated"], found["total_images"], found["success_rate"]) == (None, None, None)


def test_menu_comes_back_in_its_order_with_all_its_fields_and_its_pictures(api: Api) -> None:
    told = accepted(api, MENU)
    job_id = told["job_id"]
    results = (drawn, carded, skipped, drawn)
    work(api, job_id, results=lambda api, item: results[item.position](api, item))
    found = status(api, job_id)
    assert (found["status"], found["progress_percent"], found["error"]) == ("completed", 100, None)
    assert (found["total_images"], found["success_rate"], found["total_items"]) == (3, 0.5, 4)
    assert found["processing_info"]["estimated_time_seconds"] == 0
    images = found["images_generated"]
    assert list(images) == list(MENU)
    assert images["飲み物"] == []
    told_of = ("image_url", "generation_success", "provider", "error")
    plain = {
        category: [{key: value for key, value in dish.items() if key not in told_of} for dish in dishes]
        for category, dishes in images.items()
    }
    # As text: the order of keys counts.
    assert json.dumps(plain) == json.dumps(MENU)
    edamame, tofu = images["前菜"]
    assert (edamame["generation_success"], edamame["provider"], edamame["error"]) == (True, "gemini", None)
    assert (tofu["generation_success"], tofu["provider"]) == (False, "placeholder")
    assert tofu["error"].keys() == {"code", "title", "detail", "retryable"}
    special = images["Mains"][0]
    assert (special["image_url"], special["provider"], special["generation_success"]) == (None, None, False)
    assert special["error"]["code"] == "provider_refused"
    stamp = job(api, job_id)["created_at"][:19].replace("-", "").replace("T", "_").replace(":", "")
    base = f"/api/v1/jobs/{job_id}/outputs"
    assert edamame["image_url"] == f"{base}/menu_image_edamame_{stamp}.png"
    assert images["前菜 2"][0]["image_url"] == f"{base}/menu_image_edamame_2_{stamp}.png"
    for dish in (edamame, tofu):
        got = api.client.get(dish["image_url"])
        assert (got.status_code, got.content) == (200, PICTURE)


def test_prompt_of_a_dish_has_both_names_its_description_and_its_category(api: Api) -> None:
    told = accepted(api, {"前菜": [{**EDAMAME, "description": "Young soybeans"}, {"japanese_name": "冷奴"}]})
    first, second = (item["prompt"] for item in items_of(api, told["job_id"]))
    assert all(part in first for part in ("Edamame (枝豆)", "Young soybeans.", "前菜"))
    assert "冷奴" in second


def test_session_is_found_among_jobs(api: Api) -> None:
    told = accepted(api, {"a": [EDAMAME]}, session_id="session 枝", metadata={"table": 7})
    listed = api.client.get("/api/v1/jobs", params={"metadata.session_id": "session 枝"}).json()["data"]
    assert [each["job_id"] for each in listed] == [told["job_id"]]
    assert listed[0]["metadata"] == {"table": 7, "session_id": "session 枝"}


def test_canceled_menu_shows_what_there_is(api: Api) -> None:
    told = accepted(api, MENU)
    work(api, told["job_id"], most=2)
    half = status(api, told["job_id"])
    assert (half["status"], half["progress_percent"], half["images_generated"]) == ("processing", 50, None)
    assert half["processing_info"]["completed_items"] == 2
    assert half["processing_info"]["started_at"] is not None
    assert api.client.post(told["urls"]["cancel"]).status_code == 200
    found = status(api, told["job_id"])
    assert (found["status"], found["total_images"], found["success_rate"]) == ("canceled", 2, 0.5)
    assert [bool(dish["image_url"]) for dishes in found["images_generated"].values() for dish in dishes] == [
        *(True, True, False, False)
    ]
    again = api.client.post(f"/api/v1/jobs/{told['job_id']}/retry").json()
    work(api, again["job_id"])
    repeated = status(api, again["job_id"])
    assert (repeated["status"], list(repeated["images_generated"])) == ("completed", list(MENU))
    assert repeated["images_generated"]["Mains"][0].items() >= MENU["Mains"][0].items()


def test_menu_is_taken_once_per_key_and_told_of_the_same(api: Api) -> None:
    first, second = (sent(api, MENU, headers={"Idempotency-Key": "menu-once"}) for _ in range(2))
    assert first.content == second.content
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    other = sent(api, {"a": [EDAMAME]}, headers={"Idempotency-Key": "menu-once"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_options_are_kept_with_the_job(api: Api) -> None:
    told = accepted(api, {"a": [EDAMAME]}, fallback="fail", cache=False, priority="low", preset="web")
    found = job(api, told["job_id"])
    assert found["generation"].items() >= {"fallback": "fail", "cache": False}.items()
    assert (found["priority"], found["preset"]["name"]) == ("low", "web")


def test_status_is_of_menus_only(api: Api) -> None:
    other = generate(api, 1)["job_id"]
    for job_id in (other, "01890a5d-ac96-774b-bcce-b302099a8057", "menu"):
        answer = api.client.get(f"/api/v1/image/status/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    told = accepted(api, {"a": [EDAMAME]})
    api.query("UPDATE jobs SET project = 'other' WHERE id = %s", told["job_id"])
    assert api.client.get(told["status_endpoint"]).status_code == 404
    assert api.client.get(f"/api/v1/jobs/{told['job_id']}/items").status_code == 404


def test_where_generation_is_off_none_is_taken_and_the_old_ones_can_be_looked_at(apis: dict[str, Api]) -> None:
    usual, off = apis["usual"], apis["off"]
    told = accepted(usual, {"a": [EDAMAME]})
    usual.client.post(f"/api/v1/jobs/{told['job_id']}/cancel")
    before = traces(off)
    answers = [
        sent(off, {"a": [EDAMAME]}),
        off.client.post("/api/v1/jobs", json={"kind": "generate", "items": [{"name": "x"}]}),
        off.client.post(f"/api/v1/jobs/{told['job_id']}/retry"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "not_offered")
        assert "IMAGE_GENERATION_ENABLED" in answer.json()["detail"]
    assert traces(off) == before
    assert status(off, told["job_id"])["status"] == "canceled"
    process = {"source": {"url": "https://example.com/a.jpg"}, "preset": "web"}
    assert off.client.post("/api/v1/jobs", json=process).status_code == 202


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/final_menu"),
        ({"final_menu": None}, "/final_menu"),
        ({"final_menu": []}, "/final_menu"),
        ({"final_menu": {}}, "/final_menu"),
        ({"final_menu": {"a": [], "b": []}}, "/final_menu"),
        ({"final_menu": {"a": {}}}, "/final_menu/a"),
        ({"final_menu": {"a": ["x"]}}, "/final_menu/a/0"),
        ({"final_menu": {"a": [EDAMAME, {}]}}, "/final_menu/a/1"),
        ({"final_menu": {"a": [{"english_name": " ", "japanese_name": ""}]}}, "/final_menu/a/0"),
        ({"final_menu": {"a/b": [{"english_name": 7}]}}, "/final_menu/a~1b/0/english_name"),
        ({"final_menu": {"a": [{"english_name": "x" * 201}]}}, "/final_menu/a/0/english_name"),
        ({"final_menu": {"a": [{"japanese_name": "枝\n豆"}]}}, "/final_menu/a/0/japanese_name"),
        ({"final_menu": {"a": [{"japanese_name": "枝\x00豆"}]}}, "/final_menu/a/0/japanese_name"),
        ({"final_menu": {"a": [{"japanese_name": "枝\udc00豆"}]}}, "/final_menu/a/0/japanese_name"),
        ({"final_menu": {"a": [{**EDAMAME, "note": "\x00"}]}}, "/final_menu/a/0/note"),
        ({"final_menu": {"a": [{**EDAMAME, "description": LONG}]}}, "/final_menu/a/0/description"),
        ({"final_menu": {"a": [{**EDAMAME, "note": LONG}]}}, "/final_menu/a/0"),
        ({"final_menu": {"a": [{**EDAMAME, **{f"k{n}": n for n in range(50)}}]}}, "/final_menu/a/0"),
        ({"final_menu": {"a" * 101: [EDAMAME]}}, "/final_menu/" + "a" * 101),
        ({"final_menu": {"a\tb": [EDAMAME]}}, "/final_menu/a\tb"),
        ({"final_menu": {str(n): [EDAMAME] for n in range(201)}}, "/final_menu"),
        ({"final_menu": {"a": [{"english_name": "x"}] * 11, "b": [{"english_name": "x"}] * 10}}, "/final_menu"),
        ({"final_menu": {"a": [{"english_name": "x"}] * 10_000}}, "/final_menu"),
        ({"final_menu": {"a": [EDAMAME]}, "session_id": 7}, "/session_id"),
        ({"final_menu": {"a": [EDAMAME]}, "session_id": "s" * 201}, "/session_id"),
        ({"final_menu": {"a": [EDAMAME]}, "fallback": None}, "/fallback"),
        ({"final_menu": {"a": [EDAMAME]}, "kind": "generate"}, "/kind"),
        ({"final_menu": {"a": [EDAMAME]}, "webhook_url": "ftp://x"}, "/webhook_url"),
    ],
    ids=[f"case{n}" for n in range(28)],
)
def test_bad_menu_is_refused_where_it_is_bad_and_leaves_nothing(api: Api, body: dict[str, Any], pointer: str) -> None:
    before = traces(api)
    answer = api.client.post(
        "/api/v1/image/generate-async", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert traces(api) == before


def test_any_script_and_whatever_looks_dangerous_is_a_menu(api: Api) -> None:
    menu = {"../../x": [{"english_name": "../../etc/passwd"}, {"english_name": "🍜"}], "": [{"english_name": "سلطة"}]}
    menu["<b>"] = [{"english_name": "<img src=x onerror=alert(1)>", "description": "Draw a <script> tag\nand more"}]
    told = accepted(api, menu)
    work(api, told["job_id"])
    found = status(api, told["job_id"])["images_generated"]
    assert list(found) == list(menu)
    assert all(dish["image_url"].count("/") == 6 for dishes in found.values() for dish in dishes)
