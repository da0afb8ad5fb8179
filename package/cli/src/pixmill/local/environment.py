"""The variables of the stack's processes: the user's own win, but for where the embedded servers are."""

from collections.abc import Mapping
from dataclasses import dataclass

from pixmill.local.credentials import Credentials
from pixmill.local.datadir import DataDir
from pixmill.local.ports import PortPlan
from pixmill.local.probes import url_of

#: The stack has its own servers; another address of theirs would send half of the processes elsewhere.
_EMBEDDED = (
    "DATABASE_URL",
    "REDIS_URL",
    "PIXMILL_MIGRATE_DATABASE_URL",
    "DB_HOST",
    "DB_NAME",
    "DB_USER",
    "DB_PASSWORD",
)
#: The celery command takes these bare names for its options: broker, application, configuration.
_HIJACKERS = ("BROKER_URL", "RESULT_BACKEND", "APP", "LOADER", "CONFIG_MODULE")
#: Set for each process by the stack, or of no use to one: no process writes to a terminal, and the celery command
#: ends on a NO_COLOR that is no boolean.
_PER_PROCESS = ("PIXMILL_PORT", "PIXMILL_MIGRATE_DATABASE_URL", "NO_COLOR", "FORCE_COLOR")
#: Where the stack listens, if not told otherwise.
LOOPBACK = "127.0.0.1"
_FOR_ANOTHER_SHELL = ("PIXMILL_", "CELERY_", "FLOWER_", "AWS_", "DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True)
class Addresses:
    """Of the embedded servers, with their passwords."""

    database_url: str
    migrate_url: str
    redis_url: str


def process_variables(
    given: Mapping[str, str], addresses: Addresses, credentials: Credentials, data: DataDir, ports: PortPlan
) -> dict[str, str]:
    """What every process gets. An empty variable counts as unset."""
    dropped = {*_EMBEDDED, *_HIJACKERS, *_PER_PROCESS}
    kept = {name: value for name, value in given.items() if name not in dropped and value}
    embedded = {"DATABASE_URL": addresses.database_url, "REDIS_URL": addresses.redis_url}
    prefix = kept.get("FLOWER_URL_PREFIX", "").strip("/")
    asked = {"PIXMILL_SERVICES": _services(kept.get("PIXMILL_BIND", LOOPBACK), ports, prefix)}
    return {**_defaults(credentials, data, ports), **asked, **kept, **embedded, "PYTHONUNBUFFERED": "1"}


def variables_for_shell(variables: Mapping[str, str], addresses: Addresses) -> dict[str, str]:
    """The part that another shell needs to reach the stack, the schema owner's address included."""
    chosen = {name: value for name, value in variables.items() if name.startswith(_FOR_ANOTHER_SHELL)}
    chosen["PIXMILL_MIGRATE_DATABASE_URL"] = addresses.migrate_url
    return dict(sorted(chosen.items()))


def remarks(given: Mapping[str, str]) -> list[str]:
    """A sentence for each variable of the user's that the stack does not pass on, so that nobody wonders."""
    hijackers = [name for name in _HIJACKERS if given.get(name)]
    embedded = [name for name in _EMBEDDED if given.get(name)]
    said = []
    if hijackers:
        said.append(
            f"not passed on: {', '.join(hijackers)} - the celery command would take them for its own options; "
            "use the CELERY_ names"
        )
    if embedded:
        said.append(f"not used: {', '.join(embedded)} - this stack has its own Postgres and Redis")
    return said


def _defaults(credentials: Credentials, data: DataDir, ports: PortPlan) -> dict[str, str]:
    return {
        "PIXMILL_ENV": "development",
        "PIXMILL_AUTH": "off",
        "PIXMILL_BIND": LOOPBACK,
        "PIXMILL_PUBLIC_URL": f"http://{LOOPBACK}:{ports.api}",
        "PIXMILL_STORAGE_URL": data.objects.as_uri(),
        "PIXMILL_SECRET_KEY": credentials.secret_key,
        "PIXMILL_WEBHOOK_SECRET": credentials.webhook_secret,
        "FLOWER_USER": "admin",
        "FLOWER_PASSWORD": credentials.flower_password,
        "FLOWER_DB": str(data.run / "flower"),
    }


def _services(bind: str, ports: PortPlan, flower_prefix: str) -> str:
    """Whom the health checks ask."""
    of_flower = f"/{flower_prefix}/healthcheck" if flower_prefix else "/healthcheck"
    return ",".join(f"{name}={url_of(bind, port)}{of_flower * (name == 'flower')}" for name, port in ports.items())
