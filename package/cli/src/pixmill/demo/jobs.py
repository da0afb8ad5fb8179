"""The demonstration's jobs: sent, watched, and their outputs saved."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pixmill.client import Client
from pixmill.demo.loopback import Loopback
from pixmill.errors import DemoError

RECIPE: Final[dict[str, Any]] = {
    "outputs": [
        {"name": "web", "operations": [{"op": "resize", "width": 1600, "height": 1600}], "format": "webp"},
        {"name": "card", "operations": [{"op": "resize", "width": 800, "height": 600}], "format": "jpeg"},
        {
            "name": "thumb",
            "operations": [
                {"op": "resize", "width": 200, "height": 200, "mode": "fill"},
                {"op": "filter", "name": "sharpen", "amount": 0.6},
            ],
            "format": "avif",
        },
    ]
}

TERMINAL: Final = ("completed", "failed", "canceled")
_POLL: Final = 0.05


@dataclass
class Watched:
    """A job on its way: what people call it, and the job as last seen."""

    title: str
    document: dict[str, Any]

    @property
    def job_id(self) -> str:
        return str(self.document["job_id"])

    @property
    def is_over(self) -> bool:
        return self.document["status"] in TERMINAL


@dataclass
class Sent(Watched):
    """A picture's job. ``label`` tells pictures of one name apart; ``way`` is ``upload`` or ``URL``."""

    picture: Path
    label: str
    way: str


def send(client: Client, loopback: Loopback, pictures: list[Path]) -> list[Sent]:
    """Each picture as an upload, and the same picture as a URL."""
    sent = []
    labels = _labels(pictures)
    for index, picture in enumerate(pictures):
        upload = client.upload(picture)
        for way, source in (
            ("upload", {"upload_id": upload["upload_id"]}),
            ("URL", {"url": loopback.picture_url(index)}),
        ):
            job = {"source": source, "recipe": RECIPE, "webhook_url": loopback.hook_url, "metadata": {"way": way}}
            document = client.create_job(job)
            sent.append(Sent(f"{picture.name} ({way})", document, picture, labels[index], way))
    return sent


def watch(client: Client, sent: Sequence[Watched], show: Callable[[Watched], None], patience: float) -> None:
    """Poll until every job is over, showing each change. Raises DemoError after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while any(not job.is_over for job in sent):
        if time.monotonic() > deadline:
            raise DemoError(f"the jobs were not over after {patience:.0f} s; the log says why")
        for job in sent:
            if not job.is_over:
                job.document = client.job(job.job_id)
                show(job)
        time.sleep(_POLL)


def await_webhooks(loopback: Loopback, sent: Sequence[Watched], patience: float = 60) -> None:
    """Each job's webhook, verified. Raises DemoError if one is missing after ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while {job.job_id for job in sent} - loopback.received.verified.keys():
        if time.monotonic() > deadline:
            raise DemoError(f"{len(loopback.received.verified)} of {len(sent)} webhooks came; the log says why")
        time.sleep(_POLL)


def save(client: Client, job: Sent, directory: Path) -> list[Path]:
    """The outputs as files ``<label>.<way>.<output>.<format>``."""
    paths = []
    for output in job.document["outputs"]:
        path = directory / f"{job.label}.{job.way.lower()}.{output['name']}.{output['format']}"
        client.download(output["url"], path)
        paths.append(path)
    return paths


def _labels(pictures: list[Path]) -> list[str]:
    stems = [picture.stem for picture in pictures]
    return [stem if stems.count(stem) == 1 else f"{stem}-{number}" for number, stem in enumerate(stems, start=1)]
