"""Who reads the wall clock of its machine: nothing that decides about work. Leases, ``run_at`` and backoff go by the
database's clock, time-outs by monotonic ones.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3] / "package"

#: Where it says what time it is: for people, for signatures, for headers of others.
ALLOWED = {
    "shared/src/pixmill_shared/domain/ids.py",  # in the front of an id, which orders lists
    "shared/src/pixmill_shared/egress/client.py",  # Retry-After as a date
    "shared/src/pixmill_shared/failpoints.py",  # in the log of tests
    "shared/src/pixmill_shared/storage/bucket.py",  # how long a signed URL is valid
    "notifier/src/pixmill_notifier/channels/webhook.py",  # in signatures
    "notifier/src/pixmill_notifier/service/deliver.py",  # in signatures and signed URLs
    "api/src/pixmill_api/progress/links.py",  # whether a signed link is valid still
    "api/src/pixmill_api/progress/opening.py",  # the same
    "api/src/pixmill_api/progress/passes.py",  # how far back events are looked for, by the ids that they have
    "api/src/pixmill_api/service/presigning.py",  # whether a signed URL is valid still
    "api/src/pixmill_api/service/task_requests.py",  # whether an archive can be downloaded still
    "api/src/pixmill_api/routes/files.py",  # whether a signed URL is valid still
    "api/src/pixmill_api/service/job_documents.py",  # how long a signed URL is valid
    "api/src/pixmill_api/service/submission.py",  # whether a run_at is absurdly far away
}
WALL = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
WALL |= {("time", name) for name in ("time", "time_ns", "localtime", "gmtime")}


def readers() -> Iterator[str]:
    for package in ("shared", "api", "imaging", "notifier"):
        for path in sorted((ROOT / package / "src").rglob("*.py")):
            if any(map(_reads, ast.walk(ast.parse(path.read_text())))):
                yield str(path.relative_to(ROOT))


def _reads(node: ast.AST) -> bool:
    if not isinstance(node, ast.Attribute):
        return False
    of = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    return (of, node.attr) in WALL


def test_wall_clock_decides_nothing_about_work() -> None:
    found = set(readers())
    assert found - ALLOWED == set(), "ask the database for the time, or time.monotonic for a duration"
    assert ALLOWED - found == set(), "take out of the list what reads the clock no more"
