"""Destinations and sources by key: what the API takes, in the form that the row keeps, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.api.running import Api, environment, run_to_end, running_api

PREFIXES = {
    "PIXMILL_DESTINATIONS": "s3://shop/out,file:///srv/out",
    "PIXMILL_SOURCES": "s3://shop/in",
}
RECIPE = {"outputs": [{"name": "web"}, {"name": "thumb", "key": "{name}.{ext}"}]}


@pytest.fixture(scope="module")
def open_api(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Allows a few prefixes."""
    with running_api(postgres_url, tmp_path_factory.mktemp("places") / "objects", **PREFIXES) as running:
        yield running


def post(api: Api, source: dict[str, Any], **more: Any) -> Any:
    return api.client.post("/api/v1/jobs", json={"source": source, "recipe": RECIPE, **more})


@pytest.mark.parametrize("key", ["s3://shop/in/a b/photo.jpg", "a b/photo.jpg"])
def test_source_by_key_waits_for_the_fetch_under_its_whole_address(open_api: Api, key: str) -> None:
    answer = post(open_api, {"key": key}, destination="s3://shop/out/2026/")
    job = answer.json()
    assert answer.status_code == 202, answer.text
    assert (job["stage"], job["source"]) == ("fetch", {"key": "s3://shop/in/a b/photo.jpg"})
    assert job["destination"] == "s3://shop/out/2026"
    row = open_api.query("SELECT stage, queue, source, destination, recipe FROM jobs WHERE id = %s", job["job_id"])[0]
    assert row[:4] == ("fetch", "fetch", {"key": "s3://shop/in/a b/photo.jpg"}, "s3://shop/out/2026")
    assert [output.get("key") for output in row[4]["outputs"]] == [None, "{name}.{ext}"]
    again = open_api.client.get(f"/api/v1/jobs/{job['job_id']}").json()
    assert again["destination"] == "s3://shop/out/2026"


URL = {"url": "https://example.com/a.jpg"}


@pytest.mark.parametrize(
    ("source", "more", "pointer"),
    [
        ({"key": "s3://shop/inner/a.jpg"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "s3://shop/in/../out/a.jpg"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "s3://shop/in/%2e%2e/a.jpg"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "../a.jpg"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "/etc/passwd"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "file:///etc/passwd"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "s3://shop/in"}, {"destination": "s3://shop/out"}, "/source/key"),
        ({"key": "a.jpg", **URL}, {"destination": "s3://shop/out"}, "/source"),
        (URL, {"destination": "s3://shop"}, "/destination"),
        (URL, {"destination": "s3://shop/outer"}, "/destination"),
        (URL, {"destination": "s3://shop/in"}, "/destination"),
        (URL, {"destination": "out"}, "/destination"),
        (URL, {"destination": "file:///srv/out/../../etc"}, "/destination"),
        (URL, {"destination": f"s3://shop/out/{'/'.join(['a' * 145] * 6)}"}, "/recipe/outputs/0/key"),
        (URL, {}, "/recipe/outputs/1/key"),
    ],
)
def test_what_is_not_allowed_is_refused_with_its_pointer_and_leaves_nothing(
    open_api: Api, source: dict[str, Any], more: dict[str, Any], pointer: str
) -> None:
    before = open_api.traces()
    answer = post(open_api, source, **more)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    # Whose prefixes they are is nobody's business.
    assert "file:///srv/out" not in answer.text.replace(str(more), "")
    assert open_api.traces() == before


def test_without_settings_nothing_is_allowed_and_the_answer_says_which_to_set(api: Api) -> None:
    recipe = {"outputs": [{"name": "web"}]}
    for body, variable in (
        ({"source": {"key": "s3://shop/in/a.jpg"}}, "PIXMILL_SOURCES"),
        ({"source": {"key": "a.jpg"}}, "PIXMILL_SOURCES"),
        ({"source": URL, "destination": "s3://shop/out"}, "PIXMILL_DESTINATIONS"),
    ):
        answer = api.client.post("/api/v1/jobs", json={**body, "recipe": recipe})
        assert answer.status_code == 422
        assert variable in answer.json()["errors"][0]["detail"]


def test_prefix_that_overlaps_with_the_storage_stops_the_process(postgres_url: str, tmp_path: Path) -> None:
    variables = environment(postgres_url, tmp_path / "objects", PIXMILL_DESTINATIONS=tmp_path.as_uri())
    ended = run_to_end({**variables, "PIXMILL_AUTH": "off", "PIXMILL_PORT": "0"})
    assert ended.returncode == 1
    assert "PIXMILL_DESTINATIONS" in ended.stderr
    assert "overlap" in ended.stderr
