"""The application class: what Celery would let pass in silence stops the process here."""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from celery.worker.request import Request

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.observability import metrics
from pixmill_shared.plumbing import leases, recorded
from pixmill_shared.plumbing.base_task import RequestableTask
from pixmill_shared.plumbing.refused import check_request


class WatchedRequest(Request):
    """Runs in the worker's main process: one registry counts for all its children, one keeper keeps their leases."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        check_request(self, self.args, self.kwargs)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Celery derives a class from this one for each task, whose on_success does not call ours.
        super().__init_subclass__(**kwargs)
        celerys = cls.on_success

        def on_success(self: Any, failed__retval__runtime: tuple[bool, Any, float], **options: Any) -> Any:
            failed, _, runtime = failed__retval__runtime
            if not failed:
                leases.ended(self)
                metrics.TASKS.labels(task=self.name, outcome="succeeded").inc()
                metrics.TASK_SECONDS.labels(task=self.name).observe(runtime)
            return celerys(self, failed__retval__runtime, **options)

        cls.on_success = on_success  # type: ignore[method-assign]

    def on_accepted(self, pid: Any, time_accepted: float) -> None:
        leases.began(self)
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        metrics.TASKS.labels(task=self.name, outcome="failed").inc()
        error = getattr(exc_info.exception, "exc", exc_info.exception)
        leases.failed(self, error)
        recorded.lost(self, error)
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        metrics.TASKS.labels(task=self.name, outcome="soft_time_limit" if soft else "time_limit").inc()
        super().on_timeout(soft, timeout)


class PixmillTask(RequestableTask):
    """The base of all tasks."""

    abstract = True
    Request = WatchedRequest  # type: ignore[assignment]


class PixmillCelery(Celery):
    """Refuses a second task under a name that is taken; Celery would keep the first and say nothing."""

    _tasks: Mapping[str, Any]

    def _task_from_fun(self, fun: Any, name: str | None = None, **options: Any) -> Any:  # type: ignore[override]
        name = name or self.gen_task_name(fun.__name__, fun.__module__)
        known = self._tasks.get(name)
        if known is not None and getattr(known, "__wrapped__", None) is not fun:
            raise ConfigurationError(
                f"The task {name} is registered twice: by {known.__module__} and by {fun.__module__}. Rename one."
            )
        return super()._task_from_fun(fun, name=name, **options)
