"""``python -m tests.fuzz.api``: schemathesis against a live API, with all of its checks, for all operations.

A dispatcher and a worker do what comes in meanwhile, so that jobs run and end: all but fetches and webhooks, which
would leave the machine.

Phases: examples of the document, boundaries of every schema, random requests, and sequences along the links.
Exits with 1 if anything was found. ``--examples`` requests an operation (50), ``--seed`` (random, and printed),
``--workers``; what follows ``--`` goes to schemathesis as it is.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pixmill_api.upload_schemas import MOST_IN_ONE_PUT
from pixmill_shared.contract.queues import WORKER_QUEUES, QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.domain.recipe.limits import MOST_OUTPUTS
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer
from tests.fuzz.api_rows import seed
from tests.integration.api.running import Api, environment, running_api
from tests.integration.shared.processes import Fleet
from tests.servers import running_servers

SECRET_KEY = "a key for tests only, 0123456789"
#: Answers that say in what state a thing is, or which version of tus is spoken (409, 410, 412, 423), and 460, that the
#: bytes are not those of their checksum: documented, and no verdict on the schema.
CONFIGURATION = """
[checks]
negative_data_rejection.expected-statuses = [400, 401, 403, 404, 405, 406, 409, 410, 412, 413, 415, 422, 423, 429, 460]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 410, 412, 423, 429, 460, "5xx"]
missing_required_header.expected-statuses = [400, 401, 403, 404, 406, 412, 415, 422]
"""
ROOT = Path(__file__).parents[2]
#: Fetches and webhooks go to hosts that the fuzzer makes up.
OUTSIDE = {QueueName.FETCH, *WORKER_QUEUES["notifier"]}
DONE = [queue.value for queue in QueueName if queue not in OUTSIDE]


@dataclass(frozen=True)
class Target:
    """``known``: what requests may refer to."""

    api: Api
    token: str
    known: dict[str, str]


@contextmanager
def fuzzed_api(
    database_url: str, redis_url: str, directory: Path, rows: int, *, works: bool = False
) -> Iterator[Target]:
    """With keys, and limits that no schema could tell of out of the way. ``works``: with processes that do its jobs."""
    places = {name: directory / name for name in ("sources", "destinations")}
    for place in places.values():
        place.mkdir()
    # Any time that a schema allows may be a run_at.
    delay = int((datetime.datetime.max - datetime.datetime.now()).total_seconds()) - 86_400
    token = _key(database_url)
    storage = directory / "objects"
    variables = {
        "PIXMILL_AUTH": "on",
        "REDIS_URL": redis_url,
        "PIXMILL_MAX_SOURCE_BYTES": str(MOST_IN_ONE_PUT),
        "PIXMILL_MAX_OUTPUTS": str(MOST_OUTPUTS),
        "PIXMILL_MAX_DELAY": str(delay),
        "PIXMILL_MAX_ENDPOINTS": "1000",
        "PIXMILL_MAX_PIPELINES": "1000",
        "PIXMILL_STREAM_MAX_AGE": "0.2",
        "PIXMILL_SOURCES": places["sources"].as_uri(),
        "PIXMILL_DESTINATIONS": places["destinations"].as_uri(),
    }
    crew = Fleet(directory, environment(database_url, storage, **variables))
    with running_api(database_url, storage, **variables) as api, at_work(crew, works=works):
        api.client.headers["Authorization"] = f"Bearer {token}"
        known = seed(api, rows)
        sources, destinations = (place.as_uri() for place in places.values())
        known |= {"key": f"{sources}/a.jpg", "prefix": sources, "destination": destinations}
        yield Target(api, token, known)


@contextmanager
def at_work(crew: Fleet, *, works: bool) -> Iterator[None]:
    """Whoever does the work around the block, if anybody is to."""
    try:
        if works:
            options = ("-P", "threads", "-c", "4", "-Q", ",".join(DONE))
            for process in (crew.dispatcher(), crew.worker("worker", "pixmill_shared.celery_app", *options)):
                process.wait_ready()
        yield
    finally:
        crew.stop()


def schemathesis(target: Target, directory: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Its exit code, 0 if nothing was found, and what it said."""
    command = [sys.executable, "-c", "import schemathesis.cli as cli; cli.schemathesis()", "run"]
    command += [f"{target.api.url}/openapi.json", "--header", f"Authorization: Bearer {target.token}"]
    # Its own ten seconds are not much of a machine that does something else.
    command += ["--checks", "all", "--no-color", "--continue-on-failure", "--request-timeout", "60"]
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(directory),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.api_hooks",
        "FUZZ_KNOWN": json.dumps(target.known),
    }
    (directory / "schemathesis.toml").write_text(CONFIGURATION)
    said = directory / "schemathesis.txt"
    with said.open("wb") as output:
        # In a directory of its own: it keeps what it learns in the one where it runs.
        done = subprocess.run(
            [*command, *arguments], cwd=directory, env=variables, stdout=output, stderr=output, check=False
        )
    return done.returncode, said.read_text()


def _key(database_url: str) -> str:
    database = Database(database_url)
    with database.session_scope() as session:
        token = create_key(session, Sealer([SECRET_KEY]), project="default", name="fuzz").token
    database.dispose()
    return token


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=50)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("rest", nargs="*")
    options = parser.parse_args()
    arguments = ["--max-examples", str(options.examples), "--workers", str(options.workers), *options.rest]
    arguments += ["--generation-database", "none"]
    arguments += ["--seed", str(options.seed)] if options.seed is not None else []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with running_servers(directory / "servers") as servers:
            work = directory / "work"
            work.mkdir()
            with fuzzed_api(servers.new_database(), servers.redis_url, work, rows=20, works=True) as target:
                code, said = schemathesis(target, work, arguments)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
