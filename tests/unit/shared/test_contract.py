"""The contract hangs together, and the app routes by it."""

import inspect
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any, get_type_hints

import pytest
from kombu.exceptions import EncodeError

from pixmill_shared.celery_app import app
from pixmill_shared.contract.codes import EXPLANATIONS, ErrorCode
from pixmill_shared.contract.events import FILTERABLE, EventType
from pixmill_shared.contract.payloads import ArchivePayload, ChunkPayload, DeliveryPayload, JobPayload, MessagePayload
from pixmill_shared.contract.queues import RENDER_QUEUES, WORKER_QUEUES, Priority, QueueName
from pixmill_shared.contract.tasks import ROUTES, TaskName
from pixmill_shared.dispatcher.kinds import KINDS
from pixmill_shared.domain.jobs import TERMINAL
from pixmill_shared.plumbing.config import task_modules
from pixmill_shared.schedule import SCHEDULE

EXPECTED = {
    TaskName.FETCH_SOURCE: QueueName.FETCH,
    TaskName.CHECK_PIPELINES: QueueName.FETCH,
    TaskName.GENERATE_CHUNK: QueueName.GENERATE,
    TaskName.RENDER_JOB: QueueName.IMAGING,
    TaskName.PROCESS_PENDING: QueueName.IMAGING,
    TaskName.DELIVER_WEBHOOK: QueueName.NOTIFIER,
    TaskName.DELIVER_PENDING: QueueName.NOTIFIER,
    TaskName.EVALUATE_ALERTS: QueueName.NOTIFIER_ALERTS,
    TaskName.SEND_MESSAGE: QueueName.NOTIFIER_ALERTS,
    TaskName.SEND_REPORT: QueueName.NOTIFIER_ALERTS,
    TaskName.EXPIRE_UPLOADS: QueueName.API,
    TaskName.EXPIRE_KEYS: QueueName.API,
    TaskName.BUILD_ZIP: QueueName.API,
    TaskName.CLEAN_UP: QueueName.MAINTENANCE,
    TaskName.BACK_UP: QueueName.MAINTENANCE,
    TaskName.VERIFY_STORAGE: QueueName.MAINTENANCE,
    TaskName.RECOVER_STALLED: QueueName.DEFAULT,
    TaskName.RECORD_HEARTBEAT: QueueName.DEFAULT,
    TaskName.SAMPLE_QUEUES: QueueName.DEFAULT,
    TaskName.CHECK_SERVICES: QueueName.DEFAULT_HIGH,
}
PAYLOADS: dict[TaskName, Any] = {
    TaskName.FETCH_SOURCE: JobPayload,
    TaskName.RENDER_JOB: JobPayload,
    TaskName.GENERATE_CHUNK: ChunkPayload,
    TaskName.DELIVER_WEBHOOK: DeliveryPayload,
    TaskName.SEND_MESSAGE: MessagePayload,
    TaskName.BUILD_ZIP: ArchivePayload,
}


@pytest.fixture(scope="module")
def tasks() -> dict[str, Any]:
    """As a worker with all packages registers them."""
    app.loader.import_default_modules()
    app.finalize()
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_every_code_is_explained() -> None:
    assert set(EXPLANATIONS) == set(ErrorCode)
    titles = [explanation.title for explanation in EXPLANATIONS.values()]
    assert len(set(titles)) == len(titles)
    assert all(title[0].isupper() and not title.endswith(".") for title in titles)


def test_what_pixmill_tries_again_the_client_may_try_again() -> None:
    assert [code for code, each in EXPLANATIONS.items() if each.transient and not each.retryable] == []


def test_every_terminal_status_has_an_event() -> None:
    live = {EventType.JOB_OUTPUT, EventType.JOB_PROGRESS}
    assert {f"job.{status}" for status in TERMINAL} | live == {each for each in EventType if each.startswith("job.")}
    assert live.isdisjoint(FILTERABLE)


@pytest.mark.parametrize("name", TaskName)
def test_task_is_routed_to_its_queue_by_the_app(name: TaskName) -> None:
    route = app.amqp.router.route({}, name.value)
    queue = route["queue"]
    assert queue.name == queue.routing_key == queue.exchange.name == EXPECTED[name]


@pytest.mark.parametrize("name", TaskName)
def test_task_is_registered_by_the_package_of_its_prefix(name: TaskName, tasks: dict[str, Any]) -> None:
    assert tasks[name].__module__ == name.rpartition(".")[0]
    assert any(module.startswith(name.partition(".")[0] + ".") for module in task_modules())


def test_nothing_is_registered_that_the_contract_lacks(tasks: dict[str, Any]) -> None:
    assert set(tasks) == set(TaskName)


@pytest.mark.parametrize("name", TaskName)
def test_payload_is_what_the_task_takes(name: TaskName, tasks: dict[str, Any]) -> None:
    parameters = inspect.signature(tasks[name].run).parameters
    assert set(parameters) == set(get_type_hints(PAYLOADS[name]) if name in PAYLOADS else {})


def test_every_route_leads_to_a_queue_and_a_general_one_comes_last() -> None:
    patterns = [pattern for pattern, _ in ROUTES]
    for number, pattern in enumerate(patterns):
        shadows = [earlier for earlier in patterns[:number] if pattern.startswith(earlier.removesuffix("*"))]
        assert shadows == [], f"{pattern} is never reached"


def test_every_queue_has_one_worker_and_every_worker_existing_queues() -> None:
    consumed = [queue for queues in WORKER_QUEUES.values() for queue in queues]
    assert sorted(consumed) == sorted(QueueName)


def test_every_priority_has_a_queue_and_a_rank() -> None:
    assert set(RENDER_QUEUES) == set(Priority)
    assert [priority.rank for priority in (Priority.HIGH, Priority.NORMAL, Priority.LOW)] == [0, 1, 2]


def test_dispatcher_publishes_each_queue_for_one_kind_but_for_tasks_that_people_start() -> None:
    # Kinds that share a queue share its marks: a turn has to mean the same in both.
    queues = [queue for kind in KINDS for queue in kind.queues if not kind.requested]
    assert len(set(queues)) == len(queues)
    (requested,) = [set(kind.queues) for kind in KINDS if kind.requested]
    assert requested & set(queues) <= {QueueName.NOTIFIER_ALERTS, QueueName.FETCH}


def test_declared_queues_are_the_contracts_and_carry_their_name_three_times() -> None:
    assert set(app.amqp.queues) == set(QueueName)
    for name, queue in app.amqp.queues.items():
        assert (queue.exchange.name, queue.exchange.type, queue.routing_key) == (name, "direct", name)


def test_publishing_to_an_undeclared_queue_is_an_error() -> None:
    with pytest.raises(Exception, match=r"imagign"):
        app.send_task(TaskName.RENDER_JOB.value, queue="imagign", ignore_result=True, retry=False)


def test_only_json_goes_in_and_out() -> None:
    assert (app.conf.task_serializer, app.conf.result_serializer) == ("json", "json")
    assert app.conf.accept_content == ["json"]
    with pytest.raises((EncodeError, TypeError)):
        app.send_task(TaskName.RENDER_JOB.value, kwargs={"job_id": object()}, ignore_result=True, retry=False)


def test_schedule_drops_a_tick_before_the_next_and_names_the_queue_of_the_task() -> None:
    for entry in SCHEDULE:
        assert entry.task in set(TaskName)
        assert entry.expires < entry.every
        assert entry.queue is EXPECTED[entry.task]
        assert entry.at is None or entry.every == timedelta(days=1)


def test_reliability_settings_are_those_of_the_design() -> None:
    conf = app.conf
    assert (conf.task_acks_late, conf.task_reject_on_worker_lost, conf.task_ignore_result) == (True, False, True)
    assert (conf.worker_prefetch_multiplier, conf.broker_connection_max_retries) == (1, None)
    assert conf.task_soft_time_limit < conf.task_time_limit
    options = conf.broker_transport_options
    assert options["visibility_timeout"] > conf.task_time_limit
    assert options["socket_timeout"] > 0
    assert options["max_retries"] >= 1, "a publish without a bound hangs for ever"


IMPORT = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event in ("socket.connect", "socket.bind") else None)
import importlib
module = importlib.import_module(sys.argv[1])
heavy = sorted({"PIL", "pyvips", "fastapi", "httpx", "obstore"} & set(sys.modules))
print(module.app.main, opened, heavy if "imaging" not in sys.argv[1] else [])
"""


@pytest.mark.parametrize("package", ["shared", "api", "imaging", "notifier"])
def test_app_is_imported_without_a_variable_and_without_a_socket(package: str) -> None:
    said = subprocess.run(
        [sys.executable, "-c", IMPORT, f"pixmill_{package}.celery_app"],
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.split("\n")[0] == "pixmill [] []"
    assert json.dumps(said.stderr) == '""'
