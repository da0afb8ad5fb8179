"""The whole path with the objects in a bucket: upload and URL in, presigned URLs out, in the answer and the webhook."""

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import Pixmill
from tests.e2e.neighbours import Neighbour
from tests.integration.shared.processes import BIN, Fleet, Running, environment_of
from tests.s3 import S3
from tests.servers import Servers
from tests.waiting import eventually

from pixmill_imaging.testing.pictures import jpeg, photo

RECIPE = {"outputs": [{"name": "web", "operations": [{"op": "resize", "width": 300, "height": 200}], "format": "webp"}]}


@pytest.fixture
def fleet(
    servers: Servers, postgres_url: str, redis_url: str, s3: S3, tmp_path: Path, neighbour: Neighbour
) -> Iterator[Fleet]:
    """Every process that a picture passes, none of which has a directory for objects."""
    environment = {
        **environment_of(servers.stack.environment, postgres_url, tmp_path),
        "REDIS_URL": redis_url,
        "PIXMILL_ENV": "test",
        "PIXMILL_AUTH": "off",
        "PIXMILL_EGRESS_ALLOW": f"127.0.0.1:{neighbour.port}",
        **s3.variables("e2e"),
    }
    fleet = Fleet(tmp_path, environment)
    yield fleet
    fleet.stop()


@pytest.fixture
def imaging(fleet: Fleet) -> Running:
    return fleet.worker("imaging", "pixmill_imaging.celery_app", "-c", "2")


@pytest.fixture
def on_s3(fleet: Fleet, imaging: Running, servers: Servers, neighbour: Neighbour) -> Iterator[Pixmill]:
    api = fleet.start("api", str(BIN / "python"), "-m", "pixmill_api")
    fleet.dispatcher()
    fleet.worker("notifier", "pixmill_notifier.celery_app", "-P", "threads", "-c", "2")
    for running in fleet.started:
        running.wait_ready(90)
    with httpx.Client(base_url=f"http://127.0.0.1:{api.port}", timeout=60, trust_env=False) as http:
        yield Pixmill(servers.stack, http, neighbour, servers.log)


def fetched(url: str) -> httpx.Response:
    return httpx.get(url, timeout=60, trust_env=False)


def test_a_picture_goes_through_a_bucket_and_is_opened_from_there(on_s3: Pixmill, imaging: Running, s3: S3) -> None:
    # Other tests share the server, and some of them are killed half-way on purpose.
    others = set(s3.unfinished_uploads())
    uploaded, linked = (jpeg(photo(900, 600, seed=seed)) for seed in (31, 32))
    sources = [
        {"upload_id": on_s3.upload(uploaded)},
        {"url": on_s3.neighbour.serve("bucket.jpg", linked)},
    ]
    jobs = [
        on_s3.job({"source": source, "recipe": RECIPE, "webhook_url": on_s3.neighbour.hook_url}) for source in sources
    ]
    for job, source in zip(map(on_s3.finished, jobs), (uploaded, linked), strict=True):
        assert (job["status"], job["error"]) == ("completed", None)
        assert job["source"]["sha256"] == hashlib.sha256(source).hexdigest()
        (output,) = job["outputs"]
        assert output["url"].startswith(f"{s3.root}/pictures/e2e/renditions/")
        answer = fetched(output["url"])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
        assert hashlib.sha256(answer.content).hexdigest() == output["sha256"]
        assert fetched(output["url"].partition("?")[0]).status_code == 403
        redirect = on_s3.http.get(f"/api/v1/jobs/{job['job_id']}/outputs/web")
        assert redirect.status_code == 302
        assert fetched(redirect.headers["location"]).content == answer.content
        _, told = eventually(lambda job_id=job["job_id"]: on_s3.neighbour.webhooks_of(job_id), 60)[0]
        assert fetched(json.loads(told)["data"]["outputs"][0]["url"]).content == answer.content
    assert set(s3.unfinished_uploads()) <= others
    assert on_s3.http.get("/health/ready").status_code == 200
    if sys.platform == "linux":
        assert_only_children_use_the_store(imaging.popen.pid)


def assert_only_children_use_the_store(main_process: int) -> None:
    """After jobs were served. obstore's threads in the main process would hang every child that it forks later."""
    runtime = "tokio-rt-worker"
    children = Path(f"/proc/{main_process}/task/{main_process}/children").read_text().split()
    assert runtime not in threads_of(str(main_process))
    assert any(runtime in threads_of(child) for child in children)


def threads_of(pid: str) -> list[str]:
    """Names; but of a thread that ends while they are read."""
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            names.append((task / "comm").read_text().strip())
    return names
