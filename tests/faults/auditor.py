"""After a fault: is every job accounted for, once?"""

import collections
import time
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.load import Load
from tests.faults.stack import Stack

TERMINAL_EVENTS: Final = {"completed": "job.completed", "failed": "job.failed", "canceled": "job.canceled"}

_JOBS: Final = """
    SELECT id::text, status, attempts, error, metadata->>'number' AS number, created_at, finished_at, webhook_url,
           fence, lease_until,
           (SELECT count(*) FROM outputs WHERE job_id = jobs.id) AS outputs,
           (SELECT json_agg(json_build_object('id', id, 'type', type)) FROM job_events
             WHERE job_id = jobs.id AND type IN ('job.completed', 'job.failed', 'job.canceled')) AS ends,
           (SELECT count(*) FROM deliveries WHERE job_id = jobs.id) AS deliveries,
           (SELECT count(*) FROM deliveries WHERE job_id = jobs.id AND status = 'completed') AS delivered
    FROM jobs WHERE metadata->>'load' = %s ORDER BY id
"""


@dataclass
class Findings:
    """``lost`` and ``doubled`` are sentences, ``wrong`` the other ones; ``repeats`` are webhooks that came again under
    the same id; ``slowest`` in seconds, of the jobs that were not struck.
    """

    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    repeats: int = 0
    slowest: float = 0.0
    most_attempts: int = 0
    ends: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.doubled, *self.wrong]


class Auditor:
    """Of one load."""

    def __init__(self, stack: Stack, load: Load) -> None:
        self._stack = stack
        self._load = load

    def unfinished(self) -> int:
        """Jobs that are not over, or whose webhook did not arrive."""
        rows = self._stack.patient_rows(
            """
            SELECT count(*) AS n FROM jobs WHERE metadata->>'load' = %s AND (
              status IN ('queued', 'processing') OR EXISTS (
                SELECT FROM deliveries WHERE job_id = jobs.id AND status IN ('queued', 'processing')))
            """,
            (self._load.name,),
        )
        return int(rows[0]["n"])

    def wait(self, within: float) -> float:
        """Until all is over, at most ``within`` seconds; how long it took."""
        begun = time.monotonic()
        while self.unfinished() and time.monotonic() < begun + within:
            self._stack.local_runs()
            time.sleep(0.1)
        return time.monotonic() - begun

    def audit(self, struck: set[str]) -> Findings:
        """``struck`` are jobs that the fault hit while they were worked on."""
        found, orders = Findings(), self._load.by_job()
        jobs = self._stack.patient_rows(_JOBS, (self._load.name,))
        found.jobs = len(jobs)
        rows = {row["id"]: row for row in jobs}
        found.lost += [f"job {job_id} was accepted and is gone" for job_id in set(orders) - set(rows)]
        found.doubled += [f"a job was made that no client knows: {job_id}" for job_id in set(rows) - set(orders)]
        for job_id, row in rows.items():
            if job_id in orders:
                self._judge(found, row, orders[job_id].expected, orders[job_id].outputs)
            if row["finished_at"] and job_id not in struck:
                found.slowest = max(found.slowest, (row["finished_at"] - row["created_at"]).total_seconds())
        self._judge_webhooks(found, rows)
        self._judge_objects(found)
        return found

    def _judge(self, found: Findings, row: dict[str, Any], allowed: frozenset[str], outputs: int) -> None:
        job_id, status, ends = row["id"], row["status"], row["ends"] or []
        if status not in TERMINAL_EVENTS:
            held = f"fence {row['fence']}, lease until {row['lease_until']}"
            found.lost.append(f"job {job_id} is still {status}, attempt {row['attempts']}, {held}")
            return
        end = row["error"]["code"] if status == "failed" else status
        found.ends[end] += 1
        if end not in allowed:
            found.wrong.append(f"job {job_id} ended as {end} after {row['attempts']} attempts, not as {set(allowed)}")
        if len(ends) > 1 or row["deliveries"] > 1:
            found.doubled.append(f"job {job_id} has {len(ends)} terminal events and {row['deliveries']} deliveries")
        if [event["type"] for event in ends] != [TERMINAL_EVENTS[status]] or row["deliveries"] != 1:
            found.wrong.append(f"job {job_id} is {status}; events: {ends}, deliveries: {row['deliveries']}")
        if row["outputs"] != (outputs if status == "completed" else 0):
            found.wrong.append(f"job {job_id} is {status} with {row['outputs']} outputs of {outputs}")
        if row["attempts"] > 3:
            found.wrong.append(f"job {job_id} took {row['attempts']} attempts")
        found.most_attempts = max(found.most_attempts, row["attempts"])

    def _judge_webhooks(self, found: Findings, rows: dict[str, dict[str, Any]]) -> None:
        received: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        for hook in list(self._stack.neighbours.hooks):
            if hook.job_id in rows and hook.answered < 300:
                received[hook.job_id][hook.id] += 1
        for job_id, row in rows.items():
            ids, ends = received[job_id], row["ends"] or []
            known = {"msg_" + event["id"].replace("-", "") for event in ends}
            if known - set(ids):
                found.lost.append(f"the webhook of job {job_id} never arrived")
            if set(ids) - known:
                found.doubled.append(f"job {job_id} was told of under other ids: {set(ids) - known}")
            if row["delivered"] != len(known):
                found.wrong.append(f"job {job_id} has {row['delivered']} completed deliveries")
            found.repeats += sum(ids.values()) - len(ids)

    def _judge_objects(self, found: Findings) -> None:
        rows = self._stack.patient_rows(
            """
            SELECT DISTINCT r.storage_key FROM renditions r JOIN outputs o ON o.rendition_id = r.id
            JOIN jobs j ON j.id = o.job_id WHERE j.metadata->>'load' = %s
            """,
            (self._load.name,),
        )
        there = {info.key for info in self._stack.store.list("renditions")}
        for row in rows:
            if row["storage_key"] not in there:
                found.lost.append(f"the rendition {row['storage_key']} has no object")


def stray_objects(stack: Stack) -> list[str]:
    """Made objects that no row names."""
    named = {row["storage_key"] for row in stack.patient_rows("SELECT storage_key FROM renditions")}
    return [info.key for info in stack.store.list("renditions") if info.key not in named]
