"""Sources that cannot become a picture: each job fails with its own code and a sentence, and harms nobody."""

import re
from pathlib import Path

import pytest
from tests.e2e.conftest import Pixmill
from tests.e2e.neighbours import CountingListener

from pixmill_imaging.testing.pictures import jpeg, photo

FORBIDDEN = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:10.0.0.1]/",
    "http://2130706433:{port}/",
    "http://0x7f.1:{port}/",
    "http://0.0.0.0:{port}/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
]


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def render_processes(pixmill: Pixmill) -> set[int]:
    return children(pixmill.stack.pids()["imaging"])


@pytest.mark.parametrize("way", ["directly", "by redirect"])
def test_forbidden_address_is_never_connected_to(pixmill: Pixmill, listener: CountingListener, way: str) -> None:
    urls = [url.format(port=listener.port) for url in FORBIDDEN]
    if way == "by redirect":
        urls = [f"{pixmill.neighbour.base}/redirect?{url}" for url in urls]
    jobs = [pixmill.process(image_url=url) for url in urls]
    finished = {url: pixmill.finished(job) for url, job in zip(urls, jobs, strict=True)}
    codes = {url: (job["status"], (job["error"] or {}).get("code")) for url, job in finished.items()}
    assert codes == dict.fromkeys(urls, ("failed", "forbidden_address"))
    assert all(job["attempts"] == 1 for job in finished.values())
    assert listener.settle() == 0


def test_webhook_to_a_forbidden_address_is_never_connected_to(pixmill: Pixmill, listener: CountingListener) -> None:
    picture = pixmill.neighbour.serve("quiet.jpg", jpeg(photo(300, 200, seed=21)))
    hook = f"http://localhost:{listener.port}/hook"  # what a name leads to is known when it is looked up
    job = pixmill.finished(pixmill.process(image_url=picture, webhook_url=hook))
    assert job["status"] == "completed"
    later = pixmill.finished(pixmill.process(image_url=picture, webhook_url=pixmill.neighbour.hook_url))
    assert later["status"] == "completed"
    assert listener.settle() == 0


def test_bytes_that_are_no_picture_fail_each_with_its_code(pixmill: Pixmill) -> None:
    before = render_processes(pixmill)
    whole = jpeg(photo(1200, 900, seed=22))
    bodies = {
        "unsupported_format": [b"Hello, I am a text file.\n" * 40, b" ", b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
        "undecodable": [whole[: len(whole) // 2], whole[:200]],
    }
    for code, sources in bodies.items():
        for number, body in enumerate(sources):
            url = pixmill.neighbour.serve(f"{code}-{number}", body)
            recipe = {"outputs": [{"name": "web", "operations": [{"op": "resize", "width": 100}], "format": "jpeg"}]}
            upload = {"source": {"upload_id": pixmill.upload(body)}, "recipe": recipe}
            for job in (pixmill.process(image_url=url), pixmill.job(upload)):
                finished = pixmill.finished(job)
                assert (finished["status"], finished["error"]["code"]) == ("failed", code), body[:40]
                assert_understandable(finished["error"]["detail"])
                assert finished["outputs"] == []
    assert render_processes(pixmill) == before


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("missing.jpg", "source_not_found"),
        ("big", "too_large"),
        ("endless", "too_large"),
    ],
)
def test_server_that_misbehaves_fails_the_job_with_its_code(pixmill: Pixmill, path: str, code: str) -> None:
    fetcher = pixmill.stack.pids()["imaging-io"]
    job = pixmill.finished(pixmill.process(image_url=f"{pixmill.neighbour.base}/{path}"))
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", code, 1)
    assert_understandable(job["error"]["detail"])
    assert pixmill.stack.pids()["imaging-io"] == fetcher


def assert_understandable(sentence: str) -> None:
    """A sentence for the person who sent the job: no type names, no paths, no tracebacks."""
    assert re.fullmatch(r"[A-Z0-9].*[.]", sentence), sentence
    assert not re.search(r"Error|Exception|Traceback|/\w+/\w+|0x", sentence), sentence
