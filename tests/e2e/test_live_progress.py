"""A job watched while real workers fetch and render it."""

from typing import Any

import pytest
from tests.e2e.conftest import Pixmill
from tests.integration.api.streaming import Stream, Told
from tests.integration.api.streaming import watching as watching_api

from pixmill_imaging.testing.pictures import jpeg, photo

pytestmark = pytest.mark.timeout(400)


def slow(count: int) -> dict[str, Any]:
    """So many outputs, each of which takes a slow processor a second."""
    return {
        "outputs": [
            {
                "name": f"out-{number}",
                "operations": [{"op": "resize", "width": 1600 - 20 * number, "height": 1600}],
                "format": "avif",
            }
            for number in range(count)
        ]
    }


def percents_of(events: list[Told]) -> list[int]:
    """Of the render stage, as they were told."""
    told = [event for event in events if event.event == "job.progress" and event.data["status"] == "processing"]
    return [event.data["progress"] for event in told if event.data["stage"] == "render"]


def watched(pixmill: Pixmill, job: dict[str, Any]) -> list[Told]:
    class Reached:
        url = pixmill.stack.urls["api"]

    with watching_api(Reached(), job["urls"]["events"]) as stream:  # type: ignore[arg-type]
        return _whole(stream)


def _whole(stream: Stream) -> list[Told]:
    return stream.wait_for_end(within=120)


@pytest.mark.parametrize("by_url", [True, False])
def test_percentages_grow_until_outputs_and_the_end_are_told(pixmill: Pixmill, by_url: bool) -> None:
    # Another picture and more of it, where whoever tells or watches stood still while the first one was made, or the
    # processor is so quick that it was made between two percentages.
    for seed, count in ((31 + by_url, 6), (131 + by_url, 20)):
        picture = jpeg(photo(2400, 1800, seed=seed))
        if by_url:
            source = {"url": pixmill.neighbour.serve("watched.jpg", picture)}
        else:
            source = {"upload_id": pixmill.upload(picture)}
        recipe = slow(count)
        names = [output["name"] for output in recipe["outputs"]]
        events = watched(pixmill, pixmill.job({"source": source, "recipe": recipe}))
        percents = percents_of(events)
        assert percents == sorted(percents)
        between = {percent for percent in percents if (30 if by_url else 0) < percent < 100}
        if len(between) >= 2:
            break
    assert len(between) >= 2, percents
    ended = [event for event in events if event.event not in ("job.progress", "snapshot")]
    assert [event.event for event in ended] == ["job.output"] * count + ["job.completed"]
    assert [event.data["output"]["name"] for event in ended[:-1]] == names
    assert [event.id for event in ended] == [str(number + 1) for number in range(count + 1)]


def test_answer_that_is_held_is_the_finished_job(pixmill: Pixmill) -> None:
    upload_id = pixmill.upload(jpeg(photo(900, 700, seed=33)))
    body = {"source": {"upload_id": upload_id}, "recipe": {"outputs": [{"name": "web"}]}}
    answer = pixmill.http.post("/api/v1/jobs", json=body, headers={"Prefer": "wait=60"}, timeout=90)
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=60")
    assert (answer.json()["status"], len(answer.json()["outputs"])) == ("completed", 1)
