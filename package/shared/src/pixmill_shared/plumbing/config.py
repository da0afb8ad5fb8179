"""The configuration of the one app. Each reliability setting says what is lost without it."""

from importlib.metadata import entry_points
from typing import Any, Final

from kombu import Exchange, Queue
from kombu.transport import TRANSPORT_ALIASES

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import ROUTES
from pixmill_shared.settings.broker import BrokerSettings
from pixmill_shared.settings.work import TaskLimitSettings

ENTRY_POINTS: Final = "pixmill.tasks"
"""Entry-point group through which an installed package brings its tasks."""

SOCKET_TIMEOUT: Final = 5
"""Seconds. Without it a half-open broker socket hangs a publish for ever."""


def task_modules() -> tuple[str, ...]:
    """The modules that installed packages name in the entry-point group."""
    return tuple(sorted(point.value for point in entry_points(group=ENTRY_POINTS)))


def declared_queues() -> list[Queue]:
    """Exchange and routing key are named as the queue."""
    return [Queue(name.value, Exchange(name.value, type="direct"), routing_key=name.value) for name in QueueName]


def guard_redis() -> None:
    """Every connection to a Redis broker that this process opens from now on is guarded, whoever asks for it.

    Not by the setting ``broker_transport``: with one, kombu takes ``rediss://`` for a connection without TLS.
    """
    guarded = "pixmill_shared.plumbing.redis_guard:GuardedTransport"
    TRANSPORT_ALIASES.update(redis=guarded, rediss=guarded)


def redis_options(limits: TaskLimitSettings) -> dict[str, Any]:
    """Of the Redis transport."""
    return {
        # Starts at the pop and is never refreshed: a task that runs longer would run twice at once.
        "visibility_timeout": limits.hard * 4 + 3600,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": SOCKET_TIMEOUT,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # What publishes must fail and say so: kombu's default is to try for ever, inside the call.
        "max_retries": 1,
        "interval_start": 0.1,
        "interval_max": 0.1,
        "connect_retries_timeout": SOCKET_TIMEOUT,
        # The order of -Q would starve the queues after the first.
        "queue_order_strategy": "round_robin",
    }


def celery_config() -> dict[str, Any]:
    """Read when the app first needs its configuration, so that importing it needs no variable."""
    broker, limits = BrokerSettings.load(), TaskLimitSettings.load()
    guard_redis()
    options = redis_options(limits) if broker.broker_url.startswith("redis") else {}
    return {
        "broker_url": broker.broker_url,
        "result_backend": broker.result_backend,
        "broker_transport_options": options,
        "result_backend_transport_options": options,
        "broker_connection_retry_on_startup": True,
        # Celery gives up after 100 tries and leaves a worker without work.
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        # Flower asks eight things at once, and each holds a connection while it takes another: with fewer than ten
        # they wait for each other for ever, its workers' page stays empty and it does not stop.
        "broker_pool_limit": 12,
        # Rows are the truth and are claimed, so results of tasks carry nothing that anyone needs.
        "task_ignore_result": True,
        "result_expires": 3600,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "enable_utc": True,
        "timezone": broker.timezone,
        "task_queues": declared_queues(),
        "task_default_queue": QueueName.DEFAULT.value,
        "task_default_exchange": QueueName.DEFAULT.value,
        "task_default_routing_key": QueueName.DEFAULT.value,
        # A typo must not publish into a list that nobody reads.
        "task_create_missing_queues": False,
        "task_routes": {pattern: {"queue": queue.value} for pattern, queue in ROUTES},
        # Acknowledged late, so that a clean stop hands it back. Not requeued when a child dies: the lease in the row
        # decides whether it runs again.
        "task_acks_late": True,
        "task_reject_on_worker_lost": False,
        "task_soft_time_limit": limits.soft,
        "task_time_limit": limits.hard,
        "task_publish_retry": False,
        "worker_prefetch_multiplier": 1,
        "worker_max_tasks_per_child": 1000,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_autoscaler": "pixmill_shared.plumbing.autoscaler:BacklogAutoscaler",
        "worker_consumer": "pixmill_shared.plumbing.refused:RefusingConsumer",
        # Seconds from the death of a child to the failure of its task. What it wrote before is read first.
        "worker_lost_wait": 0.5,
        "worker_hijack_root_logger": False,
        "worker_send_task_events": False,
        "imports": task_modules(),
        "beat_scheduler": "pixmill_shared.plumbing.beat:TickScheduler",
        "beat_max_loop_interval": 2,
    }
