"""A menu, end to end: dishes in, a picture of each out, whatever the provider says to some of them."""

import io
import re
from typing import Any

from PIL import Image
from standardwebhooks import Webhook
from tests.e2e.conftest import TERMINAL, Pixmill
from tests.gemini import KEY, FakeGemini, broken, busy, picture, refused
from tests.waiting import eventually

MENU: dict[str, list[dict[str, Any]]] = {
    "前菜": [
        {"japanese_name": "枝豆", "english_name": "Edamame", "description": "Boiled in their pods", "price": 480},
        {"english_name": "Today's Special"},
    ],
    "Soups": [],
    "主菜": [{"japanese_name": "天ぷら"}, {"english_name": "Today's Special", "description": "Another one"}],
    "Drinks": [{"english_name": "Sake 🍶"}],
}


def test_menu_becomes_pictures_in_its_order_and_says_which_are_none(pixmill: Pixmill, gemini: FakeGemini) -> None:
    gemini.forget()
    gemini.script("Edamame", busy(0.2), picture())
    gemini.script("天ぷら", broken(500), picture())
    gemini.script("Sake", refused("IMAGE_SAFETY", "No alcohol."))
    asked = {"final_menu": MENU, "session_id": "table 4", "webhook_url": pixmill.neighbour.hook_url}
    answer = pixmill.http.post("/api/v1/image/generate-async", json=asked)
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert (accepted["success"], accepted["status"], accepted["total_items"]) == (True, "queued", 5)
    assert accepted["estimated_time_seconds"] > 0
    job_id = accepted["job_id"]

    def over() -> dict[str, Any] | None:
        now: dict[str, Any] = pixmill.http.get(accepted["status_endpoint"]).json()
        return now if now["status"] in TERMINAL else None

    ended = eventually(over, within=90)
    assert (ended["status"], ended["progress_percent"]) == ("completed", 100), ended
    assert ended["processing_info"]["completed_items"] == 5
    images = ended["images_generated"]
    assert list(images) == list(MENU)
    assert [
        [{key: dish[key] for key in given} for dish, given in zip(images[name], MENU[name], strict=True)]
        for name in MENU
    ] == list(MENU.values())
    (sake,) = images["Drinks"]
    assert (sake["generation_success"], sake["provider"], sake["error"]["code"]) == (
        False,
        "placeholder",
        "provider_refused",
    )
    assert "No alcohol." in sake["error"]["detail"]
    others = [dish for name in ("前菜", "主菜") for dish in images[name]]
    assert all((dish["generation_success"], dish["provider"]) == (True, "gemini") for dish in others), others
    assert (ended["total_images"], ended["success_rate"]) == (5, 0.8)
    for dish in [*others, sake]:
        _looked_at(pixmill, dish["image_url"])
    names = [dish["image_url"].rpartition("/")[2] for dish in others]
    assert re.fullmatch(r"menu_image_todays_special_\d{8}_\d{6}\.png", names[1])
    assert re.fullmatch(r"menu_image_todays_special_2_\d{8}_\d{6}\.png", names[3])
    assert {request.headers["x-goog-api-key"] for request in gemini.requests} == {KEY}
    listed = pixmill.http.get("/api/v1/jobs", params={"metadata.session_id": "table 4"}).json()
    assert [job["job_id"] for job in listed["data"]] == [job_id]
    _told(pixmill, job_id)


def _looked_at(pixmill: Pixmill, url: str) -> None:
    answer = pixmill.http.get(url, follow_redirects=True)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.content)).format == "PNG"


def _told(pixmill: Pixmill, job_id: str) -> None:
    """By a webhook, signed, and by the events of the job."""
    (hook,) = eventually(lambda: pixmill.neighbour.webhooks_of(job_id), within=60)
    secret = pixmill.stack.environment["PIXMILL_WEBHOOK_SECRET"]
    told: Any = Webhook(secret).verify(hook[1], hook[0])
    assert (told["type"], told["data"]["status"], len(told["data"]["outputs"])) == ("job.completed", "completed", 5)
