"""A batch, end to end: made by one call, done by workers, told of once, made again where it failed, and gone."""

import json
from typing import Any

from standardwebhooks import Webhook
from tests.e2e.conftest import Pixmill
from tests.e2e.test_one_picture import opened
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo

OUTPUTS = [{"name": "web", "operations": [{"op": "resize", "width": 80}], "format": "webp"}]


def ended(pixmill: Pixmill, batch: dict[str, Any]) -> dict[str, Any]:
    def over() -> dict[str, Any] | None:
        now: dict[str, Any] = pixmill.http.get(batch["urls"]["self"]).json()
        return now if now["finished_at"] else None

    return eventually(over, 120)


def test_batch_ends_with_one_webhook_and_what_failed_is_made_again(pixmill: Pixmill) -> None:
    pictures = [pixmill.upload(jpeg(photo(300, 200, seed=seed))) for seed in (101, 102)]
    items: list[Any] = [{"source": {"upload_id": upload_id}} for upload_id in pictures]
    items += [{"source": {"url": f"{pixmill.neighbour.base}/late.jpg"}}, {"source": {"url": "no address"}}]
    body = {"items": items, "recipe": {"outputs": OUTPUTS}, "webhook_url": pixmill.neighbour.hook_url}
    answer = pixmill.http.post("/api/v1/batches", json=body)
    assert answer.status_code == 202, answer.text
    batch = ended(pixmill, answer.json())
    assert (batch["status"], batch["total"], batch["progress"]) == ("partially_completed", 3, 100)
    counts = {"queued": 0, "processing": 0, "completed": 2, "failed": 1, "canceled": 0, "rejected": 1}
    assert batch["counts"] == counts

    headers, told = eventually(lambda: pixmill.neighbour.webhooks_of(batch["batch_id"]), 60)[0]
    event = Webhook(pixmill.stack.environment["PIXMILL_WEBHOOK_SECRET"]).verify(told, headers)
    assert event == json.loads(told)
    assert (event["type"], event["data"]["status"]) == ("batch.completed", "partially_completed")
    assert event["data"]["counts"] == {name: counts[name] for name in ("completed", "failed", "canceled", "rejected")}

    listed = pixmill.http.get(batch["urls"]["jobs"]).json()["data"]
    assert [job["status"] for job in reversed(listed)] == ["completed", "completed", "failed"]
    for job in listed[1:]:
        assert opened(job["result"]["url"])[1].size == (80, 53)

    pixmill.neighbour.serve("late.jpg", jpeg(photo(300, 200, seed=103)))
    again = pixmill.http.post(f"{batch['urls']['self']}/retry").json()
    assert [job["index"] for job in again["jobs"]] == [2]
    assert ended(pixmill, again)["status"] == "completed"

    assert pixmill.http.delete(batch["urls"]["self"]).status_code == 204
    assert pixmill.http.get(batch["urls"]["self"]).status_code == 404
    assert len(pixmill.neighbour.webhooks_of(batch["batch_id"])) == 1
    (kept,) = pixmill.http.get(again["urls"]["jobs"]).json()["data"]
    opened(kept["result"]["url"])
