"""Watermarks by upload: checked and pinned when the job is made."""

import hashlib
import uuid
from typing import Any

import pytest
from tests.integration.api.running import Api

PICTURE = b"\x89PNG\r\n\x1a\n not really a picture, which the API does not judge"
DIGEST = hashlib.sha256(PICTURE).hexdigest()


def upload(api: Api, data: bytes = PICTURE) -> str:
    answer = api.client.post("/api/v1/uploads", content=data, headers={"Content-Type": "image/png"})
    return str(answer.json()["upload_id"])


def submit(api: Api, *operations: list[dict[str, Any]]) -> Any:
    outputs = [{"name": f"o{i}", "operations": steps} for i, steps in enumerate(operations)]
    source = {"url": "https://example.com/a.jpg"}
    return api.client.post("/api/v1/jobs", json={"source": source, "recipe": {"outputs": outputs}})


def mark(upload_id: str, **image: str) -> dict[str, Any]:
    return {"op": "watermark", "image": {"upload_id": upload_id, **image}}


def recipe_of(api: Api, job_id: str) -> Any:
    return api.query("SELECT recipe FROM jobs WHERE id = %s", job_id)[0][0]


def test_job_keeps_the_digest_of_its_watermark(api: Api) -> None:
    logo, other = upload(api), upload(api, b"other bytes")
    answer = submit(
        api, [mark(logo)], [{"op": "resize", "width": 9}, mark(other), {"op": "watermark", "text": {"text": "©"}}]
    )
    assert answer.status_code == 202, answer.text
    first, second = recipe_of(api, answer.json()["job_id"])["outputs"]
    assert first["operations"][0]["image"] == {"upload_id": logo, "sha256": DIGEST}
    assert second["operations"][1]["image"]["sha256"] == hashlib.sha256(b"other bytes").hexdigest()
    assert "image" not in second["operations"][2]


def test_digest_that_the_client_gives_must_be_that_of_the_upload(api: Api) -> None:
    logo = upload(api)
    assert submit(api, [mark(logo, sha256=DIGEST)]).status_code == 202
    answer = submit(api, [mark(logo, sha256="0" * 64)])
    assert answer.status_code == 422
    pointers = [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["/recipe/outputs/0/operations/0/image/sha256"]


def test_watermarks_that_are_no_uploads_are_all_named_and_no_job_is_made(api: Api) -> None:
    before = api.query("SELECT count(*) FROM jobs")
    answer = submit(
        api,
        [{"op": "resize", "width": 9}, mark(str(uuid.uuid4()))],
        [mark(upload(api)), mark(str(uuid.uuid4()))],
    )
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"] == [
        {"pointer": f"/recipe/outputs/{at}/image/upload_id", "detail": "there is no such upload"}
        for at in ("0/operations/1", "1/operations/1")
    ]
    assert api.query("SELECT count(*) FROM jobs") == before


def test_upload_of_another_project_is_no_upload(api: Api) -> None:
    foreign = upload(api)
    api.query("UPDATE uploads SET project = 'other' WHERE id = %s", foreign)
    answer = submit(api, [mark(foreign)])
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/recipe/outputs/0/operations/0/image/upload_id"


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"op": "watermark"}, ""),
        ({"op": "watermark", "image": {"upload_id": "x"}}, "/image/upload_id"),
        ({"op": "watermark", "text": {"text": "a\x00"}}, "/text/text"),
    ],
)
def test_wrong_watermark_is_refused_with_its_pointer(api: Api, step: dict[str, Any], pointer: str) -> None:
    answer = submit(api, [step])
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"/recipe/outputs/0/operations/0{pointer}"]


@pytest.mark.parametrize("name", ["sepia", "invert", "brightness", "contrast", "saturation", "autocontrast"])
def test_short_form_takes_the_filters_by_name(api: Api, name: str) -> None:
    answer = api.client.post("/api/v1/process", json={"image_url": "https://example.com/a.jpg", "filter": name})
    assert answer.status_code == 202, answer.text
    operations = recipe_of(api, answer.json()["job_id"])["outputs"][0]["operations"]
    assert (operations[1]["op"], operations[1]["name"]) == ("filter", name)


def test_half_a_surrogate_pair_is_refused_and_not_an_error_of_ours(api: Api) -> None:
    body = (
        '{"source": {"url": "https://example.com/a.jpg"}, "recipe": {"outputs": [{"name": "a", "operations": ['
        '{"op": "watermark", "text": {"text": "\\ud800"}}]}]}}'
    )
    answer = api.client.post("/api/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text


def test_job_notes_which_uploads_it_needs_beside_its_source(api: Api) -> None:
    logo, other, unused = upload(api), upload(api, b"more bytes"), upload(api)
    answer = submit(api, [mark(logo)], [mark(logo), mark(other)])
    noted = api.query("SELECT upload_id::text FROM job_uploads WHERE job_id = %s", answer.json()["job_id"])
    assert {row[0] for row in noted} == {logo, other}
    assert unused not in {row[0] for row in api.query("SELECT upload_id::text FROM job_uploads")}
    refused = submit(api, [mark(logo)], [mark(str(uuid.uuid4()))])
    assert refused.status_code == 422
    assert len(api.query("SELECT * FROM job_uploads WHERE upload_id = %s", logo)) == 1
