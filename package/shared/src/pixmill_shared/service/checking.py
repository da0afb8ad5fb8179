"""Are all services well, and what they need? Asked side by side, and written down for people and for alerts."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pixmill_shared.database.engine import Database
from pixmill_shared.egress import SourceTimeout, SourceUnreachable
from pixmill_shared.egress.probe import ProbeClient
from pixmill_shared.observability.logs import get_logger
from pixmill_shared.repositories import service_health

log = get_logger(__name__)

TIMEOUT: Final = 8.0
"""Seconds that a service has for its answer: it asks its own dependencies first, for three at the most."""

Check = Callable[[], "Finding"]


@dataclass(frozen=True)
class Pace:
    """``longest``: seconds for all checks together; one that still hangs then is left behind, and has failed. What
    failed is checked ``tries`` times in all, ``pause`` seconds apart: a service that is being started is not down.
    """

    longest: float = 10.0
    tries: int = 3
    pause: float = 5.0


@dataclass(frozen=True)
class Finding:
    """``error``: why it is not well, in words that anyone may read; None: it is."""

    error: str | None = None
    status_code: int | None = None


def check_services(
    database: Database,
    client: ProbeClient,
    dependencies: Mapping[str, Callable[[], Any]],
    pace: Pace = Pace(),
) -> dict[str, Any]:
    """Check what ``client`` knows, and ``dependencies`` (which raise whatever they raise). Returns who is unhealthy.

    A service that is not checked any more is forgotten after a day.
    """
    checks: dict[str, Check] = {name: partial(_answered, client, name) for name in client.services}
    checks |= {name: partial(_unharmed, name, check) for name, check in dependencies.items()}
    found = _found(checks, pace)
    with database.session_scope() as session:
        # In one order, so that two who do this at once do not wait for each other.
        for name in sorted(found):
            finding, milliseconds = found[name]
            well = finding.error is None
            changed = service_health.record(
                *(session, name),
                healthy=well,
                status_code=finding.status_code,
                response_ms=milliseconds,
                error=finding.error,
            )
            if changed:
                tell = log.info if well else log.warning
                tell("service is well" if well else "service is not well", service=name, error=finding.error)
        service_health.forget(session)
    return {"checked": len(found), "unhealthy": sorted(name for name, (each, _) in found.items() if each.error)}


def _found(checks: Mapping[str, Check], pace: Pace) -> dict[str, tuple[Finding, int]]:
    found = _side_by_side(checks, pace.longest)
    for _ in range(pace.tries - 1):
        failed = {name: checks[name] for name, (finding, _) in found.items() if finding.error is not None}
        if failed:
            time.sleep(pace.pause)
            found |= _side_by_side(failed, pace.longest)
    return found


def _side_by_side(checks: Mapping[str, Check], longest: float) -> dict[str, tuple[Finding, int]]:
    """What each found, and how many milliseconds that took."""
    begun = time.monotonic()
    running = {name: _started(name, check) for name, check in checks.items()}
    found = {}
    for name, answer in running.items():
        try:
            found[name] = answer.result(timeout=max(begun + longest - time.monotonic(), 0))
        except TimeoutError:
            found[name] = Finding(f"no answer in {longest:g} seconds"), round(longest * 1000)
    return found


def _started(name: str, check: Check) -> "Future[tuple[Finding, int]]":
    answer: Future[tuple[Finding, int]] = Future()

    def run() -> None:
        begun = time.monotonic()
        finding = check()
        answer.set_result((finding, round((time.monotonic() - begun) * 1000)))

    # A daemon, unlike a pool's threads: a check that hangs may not hold up the end of the process.
    threading.Thread(target=run, name=f"check-{name}", daemon=True).start()
    return answer


def _answered(client: ProbeClient, name: str) -> Finding:
    try:
        answer = client.ask(name)
    except SourceTimeout:
        return Finding(f"no answer in {client.timeout:g} seconds")
    except SourceUnreachable as error:
        return Finding(error.detail)
    return Finding(None if answer.status == 200 else _why(answer.status, answer.body), answer.status)


def _why(status: int, body: str) -> str:
    """A process that is not ready says which of its checks failed."""
    try:
        checks = json.loads(body)["checks"]
        failed = [name for name, result in checks.items() if result != "ok" and name.isidentifier()]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        failed = []
    return f"not ready: {', '.join(failed[:10])}"[:200] if failed else f"HTTP {status}"


def _unharmed(name: str, check: Callable[[], Any]) -> Finding:
    try:
        check()
    except Exception as error:  # noqa: BLE001 - a thread's boundary: whatever a driver raises, it is not well
        log.warning("check failed", check=name, error=str(error) or type(error).__name__)
        return Finding(f"no good answer ({type(error).__name__})")
    return Finding()
