"""The two servers of docker-compose.yml, started by its own words: roles.sql, and the command of redis."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import redis
from tests.integration.containers.build import ROOT
from tests.integration.containers.compose import Service

from pixmill.local.credentials import Credentials
from pixmill.local.postgres import PostgresServer, find_postgres
from pixmill.local.privileges import SERVER_ENVIRONMENT, server_user
from pixmill.local.redis import find_redis

_STARTED_WITHIN = 120.0


@contextmanager
def running_postgres(service: Service, directory: Path, port: int) -> Iterator[PostgresServer]:
    """A cluster of its own, initialised as the image does it: the database, then roles.sql as the superuser."""
    user = server_user()
    server = PostgresServer(find_postgres(user), directory, port, Credentials.generate(), user)
    server.prepare()
    identity = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    log = (directory / "log").open("wb")
    process = subprocess.Popen(server.argv, cwd="/", env=SERVER_ENVIRONMENT, stdout=log, stderr=log, **identity)
    try:
        _wait_for_postgres(server)
        _initialise(server, service)
        yield server
    finally:
        # Not SIGTERM, which waits for clients to leave.
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log.close()


def _wait_for_postgres(server: PostgresServer) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    while True:
        try:
            psycopg2.connect(**server.connection_parameters("postgres")).close()
        except psycopg2.OperationalError:
            assert time.monotonic() < deadline, "Postgres does not start"
            time.sleep(0.05)
        else:
            return


def _initialise(server: PostgresServer, service: Service) -> None:
    superuser = server.connection_parameters("postgres")
    connection = psycopg2.connect(**superuser)
    connection.autocommit = True
    connection.cursor().execute(f"CREATE DATABASE {service.environment['POSTGRES_DB']}")
    connection.close()
    psql = find_postgres(None).with_name("psql")
    # The words of the postgres image's entrypoint.
    command = [psql, "-v", "ON_ERROR_STOP=1", "--no-password", "--no-psqlrc", "--username", "postgres"]
    command += ["--host", "127.0.0.1", "--port", str(server.port), "--dbname", service.environment["POSTGRES_DB"]]
    environment = {**service.environment, "PGPASSWORD": superuser["password"], "PATH": "/usr/bin:/bin"}
    script = ROOT / "docker/postgres/roles.sql"
    done = subprocess.run([*command, "--file", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def running_redis(service: Service, directory: Path, port: int) -> Iterator[None]:
    """The command of docker-compose.yml, on a port and in a directory of the test."""
    binaries = directory / "bin"
    binaries.mkdir()
    (binaries / "redis-server").symlink_to(find_redis(None, None).path)
    command = [word.replace("dir /data", f"dir {directory}\nbind 127.0.0.1\nport {port}") for word in service.command]
    environment = {**service.environment, "PATH": f"{binaries}:{os.environ['PATH']}"}
    log = (directory / "log").open("wb")
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _wait_for_redis(port, service.environment["REDISCLI_AUTH"])
        yield
    finally:
        process.terminate()
        process.wait(60)
        log.close()


def _wait_for_redis(port: int, password: str) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    with redis.Redis(port=port, password=password) as client:
        while True:
            try:
                client.ping()
            except redis.RedisError:
                assert time.monotonic() < deadline, "Redis does not start"
                time.sleep(0.05)
            else:
                return
