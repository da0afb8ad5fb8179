"""One worker and one dispatcher with real servers, a mixture of jobs, and what was seen while they were worked on."""

import collections
import hashlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import text

from pixmill_shared.contract.queues import QueueName
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.recipe import parse_recipe
from pixmill_shared.repositories import jobs
from pixmill_shared.runtime import Runtime
from tests.integration.shared.processes import Fleet, Running
from tests.soak.mixture import Ordered

IMAGING = "pixmill_imaging.celery_app"


@dataclass
class Seen:
    """``ends`` counts kind and end; ``wrong`` are sentences; ``memory`` in KiB of each child, by jobs done."""

    jobs: int = 0
    seconds: float = 0.0
    ends: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[int, int]] = field(default_factory=list)
    children: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))

    def memory_of(self, begin: float, end: float) -> float:
        """Of a process, between two parts of the jobs, from 0 to 1, in KiB.

        The median: what a large picture takes while it is worked on is no growth, what stays after it is. Where nobody
        looked between the two, what was seen later counts: the machine stood still, the jobs went on.
        """
        later = [(done, kib) for done, kib in self.memory if begin * self.jobs <= done]
        part = [kib for done, kib in later if done <= end * self.jobs] or [kib for _, kib in later]
        return median(part) if part else 0.0


def start_worker(fleet: Fleet, processes: int, soft_limit: int) -> Running:
    """``soft_limit`` in seconds: nothing but the endless jobs takes a tenth of it on an idle machine.

    Its children are not replaced after so many jobs or MiB: what grows in them shall be seen. Nor are leases lost where
    a machine stands still.
    """
    for_ever = ("--max-tasks-per-child", "1000000", "--max-memory-per-child", "100000000")
    limits = {"PIXMILL_TASK_SOFT_TIME_LIMIT": str(soft_limit), "PIXMILL_TASK_TIME_LIMIT": "120", "PIXMILL_LEASE": "60"}
    queues = ",".join((QueueName.IMAGING, QueueName.IMAGING_HIGH, QueueName.IMAGING_LOW))
    worker = fleet.worker("imaging", IMAGING, "-P", "prefork", "-c", str(processes), "-Q", queues, *for_ever, **limits)
    dispatcher = fleet.dispatcher("dispatcher")
    dispatcher.wait_ready()
    worker.wait_ready()
    return worker


def soak(runtime: Runtime, worker: Running, ordered: Iterable[Ordered], within: float) -> Seen:
    """Submit all, wait until all are over, and compare each with what it should have come to.

    What was there before is forgotten: rows first, then their objects are overwritten.
    """
    with runtime.database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, dead_letters CASCADE"))
    orders, seen, begun = _submit(runtime, ordered), Seen(), time.monotonic()
    before, seen.jobs = sorted(worker.children), len(orders)
    while (done := _terminal(runtime)) < len(orders):
        if time.monotonic() - begun > within:
            seen.wrong.append(f"{len(orders) - done} jobs were not over after {within:g} s")
            break
        seen.memory += [(done, _resident(pid)) for pid in worker.children]
        time.sleep(0.1)
    seen.memory += [(done, _resident(pid)) for pid in worker.children]
    seen.seconds = time.monotonic() - begun
    seen.children = before, sorted(worker.children)
    _judge(runtime, orders, seen)
    return seen


def _submit(runtime: Runtime, ordered: Iterable[Ordered]) -> dict[str, Ordered]:
    orders = {}
    with runtime.database.session_scope() as session:
        for order in ordered:
            digest = hashlib.sha256(order.data).hexdigest()
            key = f"uploads/{digest}"
            if not runtime.store.exists(key):
                runtime.store.put(key, order.data, "application/octet-stream")
            recipe = parse_recipe({"outputs": order.outputs}).canonical()
            new = jobs.NewJob(
                *("default", Stage.RENDER, QueueName.IMAGING, 1, {"upload_id": digest}, recipe),
                source_key=key,
                source_sha256=digest,
            )
            orders[str(jobs.insert(session, new))] = order
    return orders


def _rows(runtime: Runtime, sql: str) -> list[Any]:
    with runtime.database.session_scope() as session:
        return list(session.execute(text(sql)))


def _terminal(runtime: Runtime) -> int:
    ((count,),) = _rows(runtime, "SELECT count(*) FROM jobs WHERE status IN ('completed', 'failed', 'canceled')")
    return int(count)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except OSError:
        return 0


def _judge(runtime: Runtime, orders: dict[str, Ordered], seen: Seen) -> None:
    for job_id, status, attempts, error in _rows(runtime, "SELECT id, status, attempts, error FROM jobs"):
        order, end = orders[str(job_id)], status if error is None else error["code"]
        seen.ends[order.kind, end] += 1
        if end not in order.expected:
            seen.wrong.append(f"a {order.kind} file ended as {end}, not as {' or '.join(sorted(order.expected))}")
        if attempts != 1:
            seen.wrong.append(f"a {order.kind} file was tried {attempts} times")
    ((dead,),) = _rows(runtime, "SELECT count(*) FROM dead_letters")
    if dead:
        seen.wrong.append(f"{dead} dead letters")
    if seen.children[0] != seen.children[1]:
        seen.wrong.append(f"the processes were {seen.children[0]} and are {seen.children[1]}")


def table(seen: Seen) -> str:
    """For people: what came of each kind, and how the memory went."""
    lines = ["| file | end | jobs |", "| --- | --- | --- |"]
    lines += [f"| {kind} | {end} | {count} |" for (kind, end), count in sorted(seen.ends.items())]
    first, last = seen.memory_of(0, 0.1), seen.memory_of(0.9, 1)
    tenths = " ".join(f"{seen.memory_of(at / 10, (at + 1) / 10) / 1024:.0f}" for at in range(10))
    kept = "the same" if seen.children[0] == seen.children[1] else "not the same"
    lines += [
        "",
        f"* {seen.jobs} jobs in {seen.seconds:.0f} s, {seen.jobs / max(seen.seconds, 0.001):.0f} a second, through "
        f"{len(seen.children[0])} processes, which were {kept} at the end.",
        f"* Resident memory of a process (median), in MiB by tenths of the jobs: {tenths}; the last tenth is "
        f"{last / max(first, 1):.2f} of the first.",
        *(f"* WRONG: {sentence}" for sentence in sorted(set(seen.wrong))[:20]),
    ]
    return "\n".join(lines)
