"""Prometheus metrics. Tasks are counted in a worker's main process, so prefork children need no shared files."""

from typing import Final

from prometheus_client import Counter, Histogram

TASKS: Final = Counter("pixmill_tasks_total", "Tasks that ended in this worker", ["task", "outcome"])
TASK_SECONDS: Final = Histogram(
    "pixmill_task_seconds",
    "Run time of tasks that succeeded",
    ["task"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
REFUSED: Final = Counter(
    "pixmill_refused_total",
    "Items of the broker that are no work; kept: as a dead letter, or only counted in a flood",
    ["reason", "kept"],
)
