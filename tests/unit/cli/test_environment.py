"""What the processes of the local stack get to see."""

from pathlib import Path

import pytest

from pixmill.local.credentials import Credentials
from pixmill.local.datadir import DataDir
from pixmill.local.environment import Addresses, process_variables, remarks, variables_for_shell
from pixmill.local.ports import PortPlan
from pixmill_shared.settings.probing import ProbeSettings

ADDRESSES = Addresses(
    "postgresql://app:a@127.0.0.1:1/pixmill", "postgresql://migrate:m@127.0.0.1:1/pixmill", "redis://r"
)
CREDENTIALS = Credentials.generate()


def variables(**given: str) -> dict[str, str]:
    return process_variables(given, ADDRESSES, CREDENTIALS, DataDir(Path("/data")), PortPlan.from_base(9100))


def test_development_without_keys_on_loopback_is_the_default() -> None:
    made = variables()
    assert made["PIXMILL_ENV"] == "development"
    assert made["PIXMILL_AUTH"] == "off"
    assert made["PIXMILL_BIND"] == "127.0.0.1"
    assert made["PIXMILL_PUBLIC_URL"] == "http://127.0.0.1:9100"
    assert made["PIXMILL_STORAGE_URL"] == "file:///data/objects"
    assert made["PIXMILL_WEBHOOK_SECRET"].startswith("whsec_")


@pytest.mark.parametrize(
    ("bind", "host"), [("", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("10.1.2.3", "10.1.2.3")]
)
def test_health_checks_ask_every_process_where_it_listens(bind: str, host: str) -> None:
    asked = ProbeSettings(services=variables(PIXMILL_BIND=bind)["PIXMILL_SERVICES"]).urls
    assert asked == {
        name: f"http://{host}:{port}{'/healthcheck' if name == 'flower' else '/health/ready'}"
        for name, port in PortPlan.from_base(9100).items()
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIXMILL_STORAGE_URL", "s3://bucket"),
        ("PIXMILL_AUTH", "keys"),
        ("FLOWER_PASSWORD", "mine"),
        ("CELERY_BROKER_URL", "amqp://rabbit"),
        ("PIXMILL_EGRESS_ALLOW", "127.0.0.1"),
        ("PIXMILL_SERVICES", "api=http://api:1"),
        ("MY_OWN", "1"),
    ],
)
def test_a_variable_of_the_user_wins(name: str, value: str) -> None:
    assert variables(**{name: value})[name] == value


def test_an_empty_variable_counts_as_unset() -> None:
    assert variables(PIXMILL_SECRET_KEY="")["PIXMILL_SECRET_KEY"] == CREDENTIALS.secret_key
    assert "CELERY_BROKER_URL" not in variables(CELERY_BROKER_URL="")


def test_the_embedded_servers_addresses_are_not_the_users() -> None:
    made = variables(DATABASE_URL="postgresql://elsewhere", REDIS_URL="redis://elsewhere", DB_HOST="elsewhere")
    assert made["DATABASE_URL"] == ADDRESSES.database_url
    assert made["REDIS_URL"] == ADDRESSES.redis_url
    assert "DB_HOST" not in made


def test_only_migrations_learn_the_owners_address() -> None:
    assert "PIXMILL_MIGRATE_DATABASE_URL" not in variables(PIXMILL_MIGRATE_DATABASE_URL="postgresql://owner")


@pytest.mark.parametrize("name", ["BROKER_URL", "RESULT_BACKEND", "APP", "LOADER", "CONFIG_MODULE"])
def test_names_that_hijack_the_celery_command_are_dropped_and_said(name: str) -> None:
    assert name not in variables(**{name: "x"})
    assert name in remarks({name: "x"})[0]


def test_nothing_is_said_where_nothing_is_dropped() -> None:
    assert remarks({"PIXMILL_ENV": "test", "APP": ""}) == []


def test_another_shell_gets_what_it_needs_to_reach_the_stack() -> None:
    made = variables_for_shell(variables(CELERY_BROKER_URL="amqp://rabbit", MY_OWN="1"), ADDRESSES)
    assert made["DATABASE_URL"] == ADDRESSES.database_url
    assert made["PIXMILL_MIGRATE_DATABASE_URL"] == ADDRESSES.migrate_url
    assert made["CELERY_BROKER_URL"] == "amqp://rabbit"
    assert "MY_OWN" not in made
    assert "PIXMILL_PORT" not in made
