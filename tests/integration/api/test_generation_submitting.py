"""``POST /jobs`` of the kind ``generate``: rows of a job, its chunks and items; what is refused leaves none of them."""

import json
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.api.generating import PICTURE, carded, drawn, generate, items_of, job, skipped, work
from tests.integration.api.running import Api, running_api, wait_until
from tests.integration.api.streaming import session_of

from pixmill_shared.service.exhaustion import give_up_chunk


@pytest.fixture(scope="module")
def api(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """With a destination, and of few items a job."""
    directory = tmp_path_factory.mktemp("generating")
    (directory / "bucket").mkdir()
    with running_api(
        postgres_url,
        directory / "objects",
        PIXMILL_DESTINATIONS=(directory / "bucket").as_uri(),
        PIXMILL_MAX_GENERATION_ITEMS="20",
        MAX_IMAGE_WORKERS="2",
    ) as running:
        yield running


def bucket(api: Api) -> str:
    return (api.storage.parent / "bucket").as_uri()


def rows(api: Api, sql: str, job_id: str) -> list[tuple[Any, ...]]:
    return api.query(sql, job_id)


def traces(api: Api) -> list[tuple[Any, ...]]:
    return api.query(
        "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM generations),"
        " (SELECT count(*) FROM generation_chunks), (SELECT count(*) FROM generation_items)"
    )


def refused(api: Api, body: dict[str, Any], status: int = 422) -> dict[str, Any]:
    """The problem; nothing was made."""
    before = traces(api)
    # Halves of surrogate pairs can be written in JSON, and not in UTF-8.
    content = json.dumps({"kind": "generate", **body})
    answer = api.client.post("/api/v1/jobs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert traces(api) == before
    found: dict[str, Any] = answer.json()
    return found


def pointers(problem: dict[str, Any]) -> list[str]:
    return [error["pointer"] for error in problem["errors"]]


def test_job_of_seven_things_is_three_chunks_and_answers_with_its_counts(api: Api) -> None:
    items = [{"name": f"Dish {n}", "category": "Starters" if n < 4 else "Mains"} for n in range(7)]
    answer = api.client.post(
        "/api/v1/jobs",
        json={"kind": "generate", "items": items, "metadata": {"order": "7"}, "priority": "high"},
        headers={"X-Request-ID": "order-7"},
    )
    found = answer.json()
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == found["urls"]["self"]
    assert int(answer.headers["Retry-After"]) > 0
    assert (found["kind"], found["status"], found["stage"], found["source"]) == ("generate", "queued", "generate", {})
    assert (found["metadata"], found["priority"], found["outputs"]) == ({"order": "7"}, "high", [])
    counts = {"total_items": 7, "completed_items": 0, "total_chunks": 3, "completed_chunks": 0}
    told = found["generation"]
    assert (
        told.items() >= {**counts, "fallback": "placeholder", "cache": True, "success_rate": 0, "cost_usd": 0}.items()
    )
    assert told["estimated_seconds_left"] > 0
    assert job(api, found["job_id"]) == found
    [row] = rows(api, "SELECT kind, queue, recipe, request_id FROM jobs WHERE id = %s", found["job_id"])
    assert (row[0], row[1], row[3]) == ("generate", "generate", "order-7")
    assert row[2]["outputs"][0].items() >= {"name": "image", "operations": [], "format": "png"}.items()
    [generation] = rows(api, "SELECT categories, form FROM generations WHERE job_id = %s", found["job_id"])
    assert generation == (["Starters", "Mains"], "general")


def test_estimate_knows_that_all_jobs_share_fewer_workers_than_one_may_have_chunks(api: Api) -> None:
    """Of three chunks that one job may have at once, two are worked on."""
    one, three = (generate(api, [{"name": f"Dish {n}"} for n in range(count)])["generation"] for count in (3, 9))
    assert (one["total_chunks"], three["total_chunks"]) == (1, 3)
    assert three["estimated_seconds_left"] > 1.5 * one["estimated_seconds_left"]


def test_items_are_listed_in_the_order_of_the_request_page_by_page(api: Api) -> None:
    made = generate(api, [{"name": f"Dish {n}", "prompt": f"draw {n}", "category": str(n % 2)} for n in range(5)])
    path = f"/api/v1/jobs/{made['job_id']}/items"
    first = api.client.get(path, params={"limit": 2}).json()
    second = api.client.get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    third = api.client.get(path, params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert third["next_cursor"] is None
    data = first["data"] + second["data"] + third["data"]
    assert [(item["position"], item["name"], item["prompt"]) for item in data] == [
        (n, f"Dish {n}", f"draw {n}") for n in range(5)
    ]
    empty = {"status": "pending", "generation_success": False, "provider": None, "error": None, "outputs": []}
    assert all(item.items() >= empty.items() for item in data)


def test_prompt_is_made_of_name_description_and_category_when_there_is_none(api: Api) -> None:
    made = generate(api, [{"name": "Chair", "description": "green,\nin the rain", "category": "Garden"}])
    [item] = items_of(api, made["job_id"])
    assert all(part in item["prompt"] for part in ("Chair", "green, in the rain.", "Garden"))


def test_things_of_the_same_prompt_are_in_one_chunk(api: Api) -> None:
    made = generate(api, [{"name": f"N {n}", "prompt": "the same" if n % 3 == 0 else f"other {n}"} for n in range(9)])
    found = rows(
        api,
        "SELECT count(DISTINCT chunk_id) FROM generation_items WHERE job_id = %s AND prompt = 'the same'",
        made["job_id"],
    )
    assert found == [(1,)]
    assert made["generation"]["total_chunks"] == 3


def test_outputs_are_shown_and_served_while_the_job_runs_and_in_its_archive_at_the_end(api: Api) -> None:
    made = generate(api, [{"name": "Today's Special"}, {"name": "枝豆"}])
    job_id = made["job_id"]
    assert work(api, job_id, most=1) == 1
    running = job(api, job_id)
    assert running["status"] == "processing"
    assert running["generation"].items() >= {"completed_items": 1, "completed_chunks": 0, "success_rate": 0.5}.items()
    [output] = running["outputs"]
    stamp = running["created_at"][:19].replace("-", "").replace("T", "_").replace(":", "")
    assert output["name"] == f"image_todays_special_{stamp}.png"
    assert running["result"] == output
    got = api.client.get(f"/api/v1/jobs/{job_id}/outputs/{output['name']}")
    assert (got.status_code, got.content) == (200, PICTURE)
    assert got.headers["content-disposition"] == f'inline; filename="{output["name"]}"'
    assert api.client.get(output["url"]).headers["content-disposition"].count(".png") == 1
    assert work(api, job_id) == 1
    ended = job(api, job_id)
    assert (ended["status"], ended["progress"], ended["error"]) == ("completed", 100, None)
    assert (ended["generation"]["success_rate"], ended["generation"]["estimated_seconds_left"]) == (1.0, None)
    archive = api.client.get(f"/api/v1/jobs/{job_id}/outputs.zip")
    assert archive.status_code == 200
    assert archive.content.count(PICTURE) == 2
    assert output["name"].encode() in archive.content
    assert b".png.png" not in archive.content


def test_item_says_who_made_its_picture_and_why_no_model_did(api: Api) -> None:
    made = generate(api, 3)
    results = (drawn, carded, skipped)
    work(api, made["job_id"], results=lambda api, item: results[item.position](api, item))
    items = items_of(api, made["job_id"])
    assert [(item["generation_success"], item["provider"], len(item["outputs"])) for item in items] == [
        (True, "gemini", 1),
        (False, "placeholder", 1),
        (False, None, 0),
    ]
    assert [item["error"] and item["error"]["code"] for item in items] == [None, *["provider_refused"] * 2]
    assert items[0]["outputs"][0]["url"].startswith(api.url)
    ended = job(api, made["job_id"])
    assert (ended["status"], ended["generation"]["success_rate"]) == ("completed", 0.3333)
    assert len(ended["outputs"]) == 2


def test_canceled_job_keeps_what_is_there_and_none_of_its_chunks_waits(api: Api) -> None:
    made = generate(api, 15)
    work(api, made["job_id"], most=4)
    answer = api.client.post(f"/api/v1/jobs/{made['job_id']}/cancel")
    assert (answer.status_code, answer.json()["status"], len(answer.json()["outputs"])) == (200, "canceled", 4)
    left = rows(api, "SELECT DISTINCT status FROM generation_chunks WHERE job_id = %s", made["job_id"])
    assert sorted(status for (status,) in left) == ["canceled", "completed"]
    assert api.client.post(f"/api/v1/jobs/{made['job_id']}/cancel").json()["status"] == "canceled"


def test_retry_asks_for_all_items_again(api: Api) -> None:
    things = [{"name": f"N {n}", "category": str(n % 2), "prompt": f"draw {n}"} for n in range(5)]
    made = generate(api, things, fallback="skip", cache=False, metadata={"a": "b"})
    work(api, made["job_id"], most=2)
    api.client.post(f"/api/v1/jobs/{made['job_id']}/cancel")
    answer = api.client.post(f"/api/v1/jobs/{made['job_id']}/retry")
    again = answer.json()
    assert (answer.status_code, again["retry_of"], again["kind"]) == (202, made["job_id"], "generate")
    assert again["generation"].items() >= {"fallback": "skip", "cache": False, "completed_items": 0}.items()
    assert again["metadata"] == {"a": "b"}
    asked = ("position", "category", "name", "prompt")
    old, new = ([[item[key] for key in asked] for item in items_of(api, each["job_id"])] for each in (made, again))
    assert old == new
    assert work(api, again["job_id"]) == 5
    assert job(api, again["job_id"])["status"] == "completed"
    names = rows(api, "SELECT categories FROM generations WHERE job_id = %s", again["job_id"])
    assert names == [(["0", "1"],)]


def test_replay_of_a_dead_letter_makes_the_job_again(api: Api) -> None:
    made = generate(api, 4)
    work(api, made["job_id"], most=1)
    [(chunk_id, fence)] = rows(
        api, "SELECT id, fence FROM generation_chunks WHERE job_id = %s AND position = 1", made["job_id"]
    )
    with session_of(api) as session:
        give_up_chunk(session, uuid.UUID(chunk_id), fence)
    failed = job(api, made["job_id"])
    assert (failed["status"], failed["error"]["code"], len(failed["outputs"])) == ("failed", "attempts_exhausted", 1)
    letters = api.client.get("/api/v1/dead-letters").json()["data"]
    letter = next(letter for letter in letters if letter["payload"].get("job_id") == made["job_id"])
    replayed = api.client.post(f"/api/v1/dead-letters/{letter['dead_letter_id']}/replay")
    assert replayed.status_code == 202, replayed.text
    [(again,)] = api.query("SELECT id FROM jobs WHERE retry_of = %s", made["job_id"])
    assert work(api, again) == 4
    assert job(api, again)["status"] == "completed"


def test_answer_is_held_until_the_pictures_are_there(api: Api) -> None:
    body = {"kind": "generate", "items": [{"name": "One"}], "metadata": {"held": "x"}}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(api.client.post, "/api/v1/jobs", json=body, headers={"Prefer": "wait=60"}, timeout=90)
        wait_until(lambda: api.query("SELECT 1 FROM jobs WHERE metadata ? 'held'"), "the job", 60)
        [(job_id,)] = api.query("SELECT id FROM jobs WHERE metadata ? 'held'")
        work(api, job_id)
        answer = asked.result(90)
    assert (answer.status_code, answer.json()["status"], len(answer.json()["outputs"])) == (200, "completed", 1)


def test_deleted_job_takes_its_items_with_it(api: Api) -> None:
    made = generate(api, 2)
    work(api, made["job_id"])
    assert api.client.delete(f"/api/v1/jobs/{made['job_id']}").status_code == 204
    for table in ("generations", "generation_items", "generation_chunks", "outputs"):
        assert rows(api, f"SELECT count(*) FROM {table} WHERE job_id = %s", made["job_id"]) == [(0,)]


def test_job_is_made_once_per_key(api: Api) -> None:
    body = {"kind": "generate", "items": [{"name": "One"}]}
    first, second = (
        api.client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "generate-once"}) for _ in range(2)
    )
    assert first.content == second.content
    assert second.headers["Idempotency-Replayed"] == "true"


def test_preset_is_kept_with_the_job_and_makes_several_files_of_each_picture(api: Api) -> None:
    recipe = {
        "outputs": [{"name": "web", "format": "webp"}, {"name": "thumb", "operations": [{"op": "resize", "width": 9}]}]
    }
    assert api.client.put("/api/v1/presets/pictures", json={"recipe": recipe}).status_code in (200, 201)
    made = generate(api, 1, preset="pictures")
    assert made["preset"] == {"name": "pictures", "version": 1}
    [row] = rows(api, "SELECT recipe FROM jobs WHERE id = %s", made["job_id"])
    assert [output["name"] for output in row[0]["outputs"]] == ["web", "thumb"]


def test_any_script_and_whatever_looks_dangerous_is_a_name(api: Api) -> None:
    names = ["🍜", "سلطة", "../../etc/passwd", "Same", "Same", "<script>alert(1)</script>", "a\u202eb", "x" * 200]
    made = generate(api, [{"name": name} for name in names])
    work(api, made["job_id"])
    assert [item["name"] for item in items_of(api, made["job_id"])] == names
    files = [output["name"] for output in job(api, made["job_id"])["outputs"]]
    assert len(set(files)) == len(names)
    assert all(name.isascii() and "/" not in name and name.count(".") == 1 for name in files)
    assert any(name.startswith("image_same_2_") for name in files)


def test_copies_need_a_key_that_tells_items_apart(api: Api) -> None:
    def recipe(key: str | None) -> dict[str, Any]:
        return {"outputs": [{"name": "web", **({"key": key} if key else {})}]}

    for key in (None, "{job_id}/{name}.{ext}", "all/{sha256}"):
        made = generate(api, 1, destination=bucket(api), recipe=recipe(key))
        assert made["destination"] == bucket(api)
    body = {"items": [{"name": "One"}], "destination": bucket(api), "recipe": recipe("{job_id}/one.{ext}")}
    assert pointers(refused(api, body)) == ["/recipe/outputs/0/key"]
    assert pointers(refused(api, {"items": [{"name": "One"}], "recipe": recipe("{name}")})) == ["/recipe/outputs/0/key"]
    assert pointers(refused(api, {"items": [{"name": "One"}], "destination": "s3://elsewhere/x"})) == ["/destination"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": [{"name": "x"}] * 21}, "/items"),
        ({"items": [{"name": "x"}] * 10_000}, "/items"),
        ({"items": ["x"]}, "/items/0"),
        ({"items": [{"name": "x"}, {}]}, "/items/1/name"),
        ({"items": [{"name": ""}]}, "/items/0/name"),
        ({"items": [{"name": " \u3000"}]}, "/items/0/name"),
        ({"items": [{"name": 7}]}, "/items/0/name"),
        ({"items": [{"name": "x" * 201}]}, "/items/0/name"),
        ({"items": [{"name": "a\nb"}]}, "/items/0/name"),
        ({"items": [{"name": "a\x00b"}]}, "/items/0/name"),
        ({"items": [{"name": "a\x1bb"}]}, "/items/0/name"),
        ({"items": [{"name": "a\ud800b"}]}, "/items/0/name"),
        ({"items": [{"name": "x", "prompt": "p" * 4_001}]}, "/items/0/prompt"),
        ({"items": [{"name": "x", "prompt": " "}]}, "/items/0/prompt"),
        ({"items": [{"name": "x", "category": "c" * 101}]}, "/items/0/category"),
        ({"items": [{"name": "x", "description": "d" * 100_000}]}, "/items/0/description"),
        ({"items": [{"name": "x", "description": "\x07"}]}, "/items/0/description"),
        ({"items": [{"name": "x", "price": 7}]}, "/items/0/price"),
        ({"items": [{"name": "x"}], "fallback": "hope"}, "/fallback"),
        ({"items": [{"name": "x"}], "cache": "yes"}, "/cache"),
        ({"items": [{"name": "x"}], "source": {"url": "https://example.com/a.jpg"}}, "/source"),
        ({"items": [{"name": "x"}], "preset": "none-such"}, "/preset"),
        ({"items": [{"name": "x"}], "preset": "web", "recipe": {"outputs": [{"name": "a"}]}}, "/preset"),
        (
            {"items": [{"name": "x"}], "recipe": {"outputs": [{"name": "a", "format": "bmp"}]}},
            "/recipe/outputs/0/format",
        ),
        ({"items": [{"name": "x"}], "webhook_url": "http://127.0.0.1/"}, "/webhook_url"),
        ({"items": [{"name": "x"}], "run_at": "2999-01-01T00:00:00Z"}, "/run_at"),
        ({"items": [{"name": "x"}], "kind": "paint"}, "/kind"),
    ],
    ids=lambda value: None if isinstance(value, dict) else value,
)
def test_bad_input_is_refused_where_it_stands_and_leaves_nothing(api: Api, body: dict[str, Any], pointer: str) -> None:
    problem = refused(api, body)
    assert problem["code"] == "invalid"
    assert pointers(problem) == [pointer]


def test_batches_are_of_pictures_that_exist(api: Api) -> None:
    body = {"items": [{"kind": "generate", "name": "x"}], "preset": "web"}
    answer = api.client.post("/api/v1/batches", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


def test_kind_process_is_what_a_job_is_that_does_not_say(api: Api) -> None:
    body = {"source": {"url": "https://example.com/a.jpg"}, "preset": "web"}
    for given in (body, {**body, "kind": "process"}):
        made = api.client.post("/api/v1/jobs", json=given).json()
        assert (made["kind"], made["generation"], made["stage"]) == ("process", None, "fetch")
    items = api.client.get(f"/api/v1/jobs/{made['job_id']}/items")
    assert (items.status_code, items.json()["code"]) == (404, "not_found")


def test_list_shows_both_kinds(api: Api) -> None:
    made = generate(api, 1)
    work(api, made["job_id"])
    listed = api.client.get("/api/v1/jobs", params={"limit": 1}).json()["data"]
    assert listed[0].keys() == made.keys()
    assert (listed[0]["kind"], len(listed[0]["outputs"])) == ("generate", 1)
    assert listed[0]["generation"]["completed_items"] == 1
