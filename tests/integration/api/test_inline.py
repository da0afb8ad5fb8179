"""An API without a broker: jobs, fetches and webhooks are done in its own process, as workers would."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.faults.armed import Armed
from tests.integration.api.inline_api import (
    ALWAYS,
    PATIENCE,
    ended,
    job,
    picture,
    serving,
    submit,
    until,
    upload,
    verified,
    webhooks,
)
from tests.integration.api.running import Api, environment, ready, run_to_end, running_api
from tests.integration.egress.servers import Handler, Server
from tests.servers import Servers

from pixmill_shared.database.engine import Database
from pixmill_shared.repositories import generations
from pixmill_shared.repositories.generations import NewGeneration, NewItem

PNG = {"outputs": [{"name": "picture", "format": "png", "operations": []}]}

# Processes that wait for processes: on a busy machine each takes its time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def failpoints(tmp_path_factory: pytest.TempPathFactory) -> Armed:
    return Armed(tmp_path_factory.mktemp("armed") / "failpoints")


@pytest.fixture(scope="module")
def inline(postgres_url: str, storage: Path, failpoints: Armed) -> Iterator[Api]:
    """Shared by the tests of this module that leave it running."""
    with running_api(postgres_url, storage, **ALWAYS, PIXMILL_FAILPOINTS=str(failpoints.directory)) as running:
        yield running


@pytest.fixture
def own_database(servers: Servers) -> str:
    """Of an API that works alone."""
    return servers.new_database()


@pytest.fixture
def receive() -> Iterator[Callable[[Handler], Server]]:
    servers: list[Server] = []

    def start(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_upload_becomes_a_picture_and_a_signed_webhook(inline: Api, receive: Callable[[Handler], Server]) -> None:
    receiver = receive(serving(b""))
    done = ended(inline, submit(inline, webhook_url=receiver.url("/hook")))
    assert done["status"] == "completed", done
    answer = httpx.get(done["outputs"][0]["url"], timeout=60)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/png"
    (hook,) = until(lambda: webhooks(receiver), "the webhook")
    assert verified(hook)["data"]["job_id"] == done["job_id"]
    until(lambda: inline.query("SELECT 1 FROM deliveries WHERE status = 'completed'"), "the end of the delivery")


def test_source_behind_a_url_is_fetched_and_rendered(inline: Api, receive: Callable[[Handler], Server]) -> None:
    server = receive(serving(picture()))
    done = ended(inline, submit(inline, {"url": server.url("/a.jpg")}))
    assert done["status"] == "completed", done
    assert server.accepts == 1


def test_menus_and_things_get_pictures_without_a_worker(inline: Api) -> None:
    menu = {"final_menu": {"a": [{"english_name": "Edamame"}]}}
    told = inline.client.post("/api/v1/image/generate-async", json=menu)
    assert told.status_code == 202, told.text
    assert ended(inline, told.json()["job_id"])["status"] == "completed"
    taken = inline.client.post("/api/v1/jobs", json={"kind": "generate", "items": [{"name": "Edamame"}]})
    assert taken.status_code == 202, taken.text
    made = ended(inline, taken.json()["job_id"])
    assert (made["status"], made["kind"], len(made["outputs"])) == ("completed", "generate", 1)
    assert inline.client.get(made["outputs"][0]["url"]).content.startswith(b"\x89PNG")


def test_pictures_are_generated_a_few_chunks_at_a_time(inline: Api, postgres_url: str) -> None:
    new = NewGeneration("default", 1, PNG, [NewItem("", f"Dish {n}", "x", f"dish_{n}", n) for n in range(5)], [""], 5)
    database = Database(postgres_url)
    with database.session_scope() as session:
        job_id = generations.insert(session, new)
    database.dispose()
    made = ended(inline, str(job_id))
    assert (made["status"], made["progress"]) == ("completed", 100)
    items = inline.query("SELECT provider, success FROM generation_items WHERE job_id = %s", str(job_id))
    assert items == [("placeholder", False)] * 5, "there is no key"


def test_bad_picture_fails_at_once_with_its_own_code(inline: Api) -> None:
    failed = ended(inline, submit(inline, {"upload_id": upload(inline, b"\xff\xd8\xff\xe0 no picture")}))
    assert failed["status"] == "failed"
    assert failed["error"]["code"] in ("undecodable", "unsupported_format")
    assert inline.query("SELECT attempts FROM jobs WHERE id = %s", failed["job_id"]) == [(1,)]


def test_readiness_names_the_inline_loop_and_no_broker(inline: Api) -> None:
    told = ready(inline, database="ok", inline="ok", storage="ok")
    assert (told.status_code, sorted(told.json()["checks"])) == (200, ["database", "inline", "storage"])


def test_canceled_job_is_stopped_and_its_place_is_free_again(inline: Api, failpoints: Armed) -> None:
    failpoints.arm("body.opened", "pause", seconds=60)
    held = submit(inline)
    (strike,) = until(lambda: [s for s in failpoints.strikes() if s.key == held], "the job in work")
    assert (
        inline.client.delete(f"/api/v1/jobs/{held}").status_code in (200, 202, 204)
        or inline.client.post(f"/api/v1/jobs/{held}/cancel").is_success
    )
    strike.file.unlink()
    assert job(inline, held)["status"] == "canceled"
    others = [submit(inline) for _ in range(4)]
    assert [ended(inline, other)["status"] for other in others] == ["completed"] * 4
    assert inline.query("SELECT count(*) FROM outputs WHERE job_id = %s", held) == [(0,)]


def test_picture_that_kills_its_process_fails_after_three_and_the_api_lives(inline: Api, failpoints: Armed) -> None:
    pid = inline.process.pid
    failpoints.clear()
    failpoints.arm("body.opened", "segfault", keep=True)
    poison = submit(inline)
    failed = ended(inline, poison)
    failpoints.clear_orders()
    assert failed["status"] == "failed"
    assert failed["error"]["code"] == "attempts_exhausted"
    strikes = [strike for strike in failpoints.strikes() if strike.key == poison]
    assert len(strikes) == 3
    assert {strike.parent for strike in strikes} == {pid}
    assert len({strike.pid for strike in strikes} - {pid}) == 3
    letters = inline.query("SELECT attempts, error->>'code' FROM dead_letters WHERE payload->>'job_id' = %s", poison)
    assert letters == [(3, "attempts_exhausted")]
    assert ended(inline, submit(inline))["status"] == "completed"
    assert inline.process.poll() is None


def test_lease_is_renewed_for_as_long_as_the_work_takes(inline: Api, failpoints: Armed) -> None:
    failpoints.clear()
    failpoints.arm("body.opened", "pause", seconds=60)
    slow = submit(inline)
    (strike,) = until(lambda: [s for s in failpoints.strikes() if s.key == slow], "the job in work")
    begun = inline.query("SELECT lease_until FROM jobs WHERE id = %s", slow)[0][0]
    longer = "SELECT 1 FROM jobs WHERE id = %s AND lease_until > %s"
    until(lambda: inline.query(longer, slow, begun), "a renewal")
    strike.file.unlink()
    done = ended(inline, slow)
    assert done["status"] == "completed"
    assert inline.query("SELECT attempts, fence FROM jobs WHERE id = %s", slow) == [(1, 1)]


def test_receiver_that_fails_is_tried_again_by_the_schedule(inline: Api, receive: Callable[[Handler], Server]) -> None:
    receiver = receive(lambda conversation: conversation.send(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
    done = ended(inline, submit(inline, webhook_url=receiver.url("/hook")))
    # Whoever looks late sees a later try.
    sql = "SELECT 1 FROM deliveries WHERE job_id = %s AND status = 'queued' AND attempts > 0 AND run_at > now()"
    until(lambda: inline.query(sql, done["job_id"]), "the delivery's next try")


def test_api_killed_in_the_middle_goes_on_where_it_was(own_database: str, tmp_path: Path) -> None:
    armed = Armed(tmp_path / "failpoints")
    settings = {**ALWAYS, "PIXMILL_FAILPOINTS": str(armed.directory), "PIXMILL_REDISPATCH_AFTER": "3"}
    with running_api(own_database, tmp_path / "objects", killed=True, **settings) as api:
        armed.arm("body.opened", "pause", seconds=60, keep=True)
        ids = [submit(api) for _ in range(6)]
        strikes = until(lambda: len(armed.strikes()) == 2 and armed.strikes(), "two jobs in work")
        os.kill(api.process.pid, signal.SIGKILL)
        api.process.wait(PATIENCE)
    children = [strike.pid for strike in strikes]
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the end of the children")
    armed.clear()
    api.query("UPDATE jobs SET lease_until = clock_timestamp() WHERE status = 'processing'")
    with running_api(own_database, tmp_path / "objects", **settings) as api:
        assert [ended(api, each)["status"] for each in ids] == ["completed"] * 6
        events = api.query(
            "SELECT job_id::text, count(*) FROM job_events WHERE type = 'job.completed' AND job_id::text = ANY(%s)"
            " GROUP BY 1",
            ids,
        )
        assert sorted(events) == sorted((each, 1) for each in ids)
        attempts = dict(api.query("SELECT id::text, attempts FROM jobs WHERE id::text = ANY(%s)", ids))
        assert sorted(attempts.values()) == [1, 1, 1, 1, 2, 2]


def test_end_of_the_api_hands_back_what_is_not_finished(own_database: str, tmp_path: Path) -> None:
    armed = Armed(tmp_path / "failpoints")
    settings = {**ALWAYS, "PIXMILL_FAILPOINTS": str(armed.directory), "PIXMILL_SHUTDOWN_TIMEOUT": "1"}
    with running_api(own_database, tmp_path / "objects", **{**settings, "PIXMILL_LEASE": "600"}) as api:
        armed.arm("body.opened", "pause", seconds=60)
        held = submit(api)
        (strike,) = until(lambda: [s for s in armed.strikes() if s.key == held], "the job in work")
        api.process.send_signal(signal.SIGTERM)
        assert api.process.wait(PATIENCE) == 0
        row = api.query("SELECT status, attempts, claimed_by, dispatched_at FROM jobs WHERE id = %s", held)
        assert row == [("queued", 0, None, None)]
    until(lambda: not Path(f"/proc/{strike.pid}").exists(), "the end of the child")


def tried_until_its_limit(api: Api, armed: Armed, action: str, **order: Any) -> int | None:
    """How often a job was tried that stops at its beginning; None if it did not end by a limit."""
    armed.arm("body.opened", action, seconds=60, **order)
    job = ended(api, submit(api))
    if job["status"] == "completed":
        return None
    assert job["error"]["code"] == "time_limit"
    tried: int = api.query("SELECT attempts FROM jobs WHERE id = %s", job["job_id"])[0][0]
    return tried


def test_work_that_takes_too_long_is_told_to_end_and_then_killed(own_database: str, tmp_path: Path) -> None:
    armed = Armed(tmp_path / "failpoints")
    limits = {"PIXMILL_TASK_SOFT_TIME_LIMIT": "3", "PIXMILL_TASK_TIME_LIMIT": "7", "PIXMILL_MAX_ATTEMPTS": "2"}
    settings = {**ALWAYS, **limits, "PIXMILL_FAILPOINTS": str(armed.directory), "PIXMILL_INLINE_CONCURRENCY": "1"}
    with running_api(own_database, tmp_path / "objects", **settings) as api:
        # A child that stands still between the limits is killed, and one that does so in the end may be told to end.
        until(lambda: tried_until_its_limit(api, armed, "pause") == 1, "one that does as it is told")
        armed.clear()
        assert tried_until_its_limit(api, armed, "sleep", keep=True) == 2
        hung = {strike.pid for strike in armed.strikes()}
        armed.clear()
        assert hung
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in hung), "the end of those that hung")
        until(lambda: ended(api, submit(api))["status"] == "completed", "one that is in time")


def test_child_that_renders_has_no_key_to_lose_and_a_bound_to_its_memory(inline: Api, failpoints: Armed) -> None:
    failpoints.clear()
    failpoints.arm("body.opened", "pause", seconds=60)
    held = submit(inline)
    (strike,) = until(lambda: [s for s in failpoints.strikes() if s.key == held], "the job in work")
    names = {each.partition("=")[0] for each in Path(f"/proc/{strike.pid}/environ").read_text().split("\0")}
    limits = Path(f"/proc/{strike.pid}/limits").read_text()
    strike.file.unlink()
    assert "DATABASE_URL" in names
    assert not names & {"PIXMILL_SECRET_KEY", "PIXMILL_WEBHOOK_SECRET"}
    assert str(4_194_304 * 1024) in next(line for line in limits.splitlines() if line.startswith("Max address space"))
    assert ended(inline, held)["status"] == "completed"


def test_api_itself_never_loads_what_decodes(inline: Api) -> None:
    assert ended(inline, submit(inline))["status"] == "completed"
    maps = Path(f"/proc/{inline.process.pid}/maps").read_text()
    assert "PIL/" not in maps
    assert "libvips" not in maps


def test_task_that_somebody_asks_for_runs_here_too(inline: Api) -> None:
    unused = upload(inline, picture())
    inline.query("UPDATE uploads SET completed_at = now() - interval '30 days' WHERE id = %s", unused)
    asked = inline.client.post("/api/v1/tasks/expire_unfinished", json={})
    assert asked.status_code == 202, asked.text
    sql = "SELECT status FROM task_requests WHERE id = %s"
    until(lambda: inline.query(sql, asked.json()["task_id"]) == [("completed",)], "the end of the task")
    assert inline.query("SELECT 1 FROM uploads WHERE id = %s", unused) == []


def test_without_the_extra_the_start_says_what_to_install(postgres_url: str, tmp_path: Path) -> None:
    """The packages are there, in a path without their metadata: nobody says what they do."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "found = m.entry_points\n"
        "m.entry_points = lambda **k: m.EntryPoints() if k.get('group') == 'pixmill.inline' else found(**k)\n"
    )
    variables = environment(postgres_url, tmp_path / "objects", **ALWAYS, PYTHONPATH=str(hidden), PIXMILL_AUTH="off")
    result = run_to_end(variables, timeout=PATIENCE)
    assert result.returncode == 1
    assert "pip install 'pixmill-api[inline]'" in result.stderr
    assert "Traceback" not in result.stderr
