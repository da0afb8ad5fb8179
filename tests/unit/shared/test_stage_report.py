"""How often a stage tells how far it is."""

import json
import uuid

from pixmill_shared.domain.jobs import Stage
from pixmill_shared.progress.publisher import Publisher
from pixmill_shared.progress.reports import StageReport
from pixmill_shared.repositories.jobs import ClaimedJob

JOB = ClaimedJob(
    *(uuid.uuid4(), "acme", 1, 1, {}, None, None, {}, None, 1, None),
    batch_id=uuid.uuid4(),
)


class Kept(Publisher):
    def __init__(self) -> None:
        super().__init__("redis://nowhere")
        self.messages: list[dict[str, object]] = []

    def publish(self, key: str, message: str) -> None:
        assert key == str(JOB.id)
        self.messages.append(json.loads(message))


def test_first_report_is_published_and_then_two_a_second() -> None:
    kept, now = Kept(), 0.0
    report = StageReport(kept, JOB, Stage.RENDER, clock=lambda: now)
    for step in range(1_000):
        now = step / 100
        report(step / 10)
    assert [message["progress"] for message in kept.messages] == [5 * number for number in range(20)]


def test_message_says_whose_job_it_is_and_where_it_is() -> None:
    kept = Kept()
    StageReport(kept, JOB, Stage.FETCH)(12.7)
    assert kept.messages == [
        {"job": str(JOB.id), "batch": str(JOB.batch_id), "project": "acme", "stage": "fetch", "progress": 12}
    ]
