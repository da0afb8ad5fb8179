"""One picture, end to end: in by upload and by URL, out as bytes that a browser can open, told by a webhook."""

import hashlib
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image
from standardwebhooks import Webhook
from tests.e2e.conftest import Pixmill
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo


@pytest.fixture(scope="module")
def camera() -> bytes:
    """12 megapixels, lying on its side: EXIF orientation 6."""
    return jpeg(photo(4000, 3000, seed=11), orientation=6)


def opened(url: str) -> tuple[httpx.Response, Image.Image]:
    response = httpx.get(url, timeout=60, trust_env=False)
    assert response.status_code == 200, response.text
    return response, Image.open(io.BytesIO(response.content))


def test_twelve_megapixels_come_out_upright_in_the_box(pixmill: Pixmill, camera: bytes) -> None:
    upload_id = pixmill.upload(camera)
    recipe = {"outputs": [{"name": "web", "operations": [{"op": "resize", "width": 800, "height": 600}]}]}
    job = pixmill.finished(pixmill.job({"source": {"upload_id": upload_id}, "recipe": recipe}))
    assert (job["status"], job["progress"], job["error"]) == ("completed", 100, None)
    assert (job["source"]["width"], job["source"]["height"]) == (3000, 4000)
    (output,) = job["outputs"]
    assert (output["name"], output["width"], output["height"], output["format"]) == ("web", 450, 600, "jpeg")
    assert job["result"]["url"] == output["url"]
    response, image = opened(output["url"])
    assert response.headers["content-type"] == "image/jpeg"
    assert image.size == (450, 600)
    assert hashlib.sha256(response.content).hexdigest() == output["sha256"]
    assert len(response.content) == output["bytes"]
    # The red disc of the picture is upper left in the sensor's view, so upper right once it is upright.
    red, green, blue = image.convert("RGB").getpixel((450 * 3 // 4, 600 // 4))  # type: ignore[misc]
    assert red > 150 > 100 > max(green, blue)
    assert not image.getexif()


def test_same_picture_by_url_and_by_upload_gives_the_same_bytes(pixmill: Pixmill) -> None:
    picture = jpeg(photo(1500, 1000, seed=12))
    by_url = pixmill.process(image_url=pixmill.neighbour.serve("same.jpg", picture), filter="sharpen")
    fields = {"width": "800", "height": "600", "filter": "sharpen"}
    response = pixmill.http.post("/api/v1/process", files={"file": ("same.jpg", picture, "image/jpeg")}, data=fields)
    assert response.status_code == 202, response.text
    first, second = pixmill.finished(by_url), pixmill.finished(response.json())
    assert first["source"]["sha256"] == second["source"]["sha256"] == hashlib.sha256(picture).hexdigest()
    bodies = [opened(job["result"]["url"])[0].content for job in (first, second)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("name", ["none", "grayscale", "blur", "sharpen"])
def test_filters_change_what_they_should(pixmill: Pixmill, name: str) -> None:
    url = pixmill.neighbour.serve("filter.jpg", jpeg(photo(1000, 800, seed=13)))
    job = pixmill.finished(pixmill.process(image_url=url, width=200, height=200, filter=name))
    assert job["status"] == "completed"
    _, image = opened(job["result"]["url"])
    assert image.size == (200, 160)
    red, _, blue = image.convert("RGB").getpixel((50, 40))  # type: ignore[misc]
    assert (abs(red - blue) < 3) == (name == "grayscale")


def test_three_outputs_come_from_one_job(pixmill: Pixmill) -> None:
    upload_id = pixmill.upload(jpeg(photo(2000, 1500, seed=14)))
    recipe: dict[str, Any] = {
        "outputs": [
            {"name": "large", "operations": [{"op": "resize", "width": 1600}], "format": "webp"},
            {"name": "small", "operations": [{"op": "resize", "width": 400}], "format": "avif"},
            {"name": "square", "operations": [{"op": "resize", "width": 64, "height": 64, "mode": "fill"}]},
        ]
    }
    job = pixmill.finished(pixmill.job({"source": {"upload_id": upload_id}, "recipe": recipe}))
    assert job["status"] == "completed", job
    sizes = {output["name"]: opened(output["url"])[1] for output in job["outputs"]}
    assert [(name, image.size, image.format) for name, image in sizes.items()] == [
        ("large", (1600, 1200), "WEBP"),
        ("small", (400, 300), "AVIF"),
        ("square", (64, 64), "JPEG"),
    ]


def test_webhook_verifies_and_says_what_the_job_says(pixmill: Pixmill) -> None:
    url = pixmill.neighbour.serve("hooked.jpg", jpeg(photo(600, 400, seed=15)))
    hook = pixmill.neighbour.hook_url
    job = pixmill.finished(pixmill.process(image_url=url, webhook_url=hook, metadata={"order": "17"}))
    headers, body = eventually(lambda: pixmill.neighbour.webhooks_of(job["job_id"]), 60)[0]
    event = Webhook(pixmill.stack.environment["PIXMILL_WEBHOOK_SECRET"]).verify(body, headers)
    assert event == json.loads(body)
    assert event["type"] == "job.completed"
    data = event["data"]
    assert (data["job_id"], data["status"], data["metadata"]) == (job["job_id"], "completed", {"order": "17"})
    assert data["outputs"][0]["sha256"] == job["outputs"][0]["sha256"]
    opened(data["outputs"][0]["url"])
    assert len(pixmill.neighbour.webhooks_of(job["job_id"])) == 1


def test_failed_job_sends_its_webhook_too(pixmill: Pixmill) -> None:
    job = pixmill.process(image_url=f"{pixmill.neighbour.base}/nothing-here", webhook_url=pixmill.neighbour.hook_url)
    assert pixmill.finished(job)["error"]["code"] == "source_not_found"
    _, body = eventually(lambda: pixmill.neighbour.webhooks_of(job["job_id"]), 60)[0]
    event = json.loads(body)
    assert (event["type"], event["data"]["error"]["code"]) == ("job.failed", "source_not_found")


def test_each_picture_is_rendered_once(pixmill: Pixmill) -> None:
    picture = jpeg(photo(900, 700, seed=16))
    first = pixmill.finished(pixmill.process(image_url=pixmill.neighbour.serve("once.jpg", picture)))
    second = pixmill.finished(pixmill.process(image_url=pixmill.neighbour.serve("once.jpg", picture)))
    assert [job["outputs"][0]["cached"] for job in (first, second)] == [False, True]
