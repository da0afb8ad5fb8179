"""Writes ``.env.example`` from the settings classes, and from what docker-compose.yml interpolates besides.

Run it after a change of a setting: ``.venv/bin/python tools/env_example.py``. A test fails while the file differs.
"""

import importlib
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator
from enum import Enum
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

import pixmill_shared.settings
from pixmill_shared.settings.base import Settings

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / ".env.example"

_HEAD = """\
# All variables of pixmill, written by tools/env_example.py from the settings classes.
#
# Lines without a # have no safe default: copy this file to .env and replace each changeme. Lines that begin with a #
# show the default. Processes read their environment, not this file: docker compose passes .env on; in a shell,
# set -a; . ./.env; set +a. An empty variable counts as unset. `pixmill up` needs none of them.
"""

#: What has to be set, with a placeholder that production refuses.
REQUIRED = {
    "DB_PASSWORD": "changeme",
    "FLOWER_PASSWORD": "changeme",
    "FLOWER_USER": "admin",
    "PIXMILL_SECRET_KEY": "changeme",
    "PIXMILL_WEBHOOK_SECRET": "whsec_changeme",
}

#: Variables of docker-compose.yml itself: meaning and value, None for those that must be set.
COMPOSE_ONLY = {
    "POSTGRES_MIGRATE_PASSWORD": ("password of the role that owns the schema; letters and digits", None),
    "REDIS_PASSWORD": ("password of the compose file's Redis; letters and digits", None),
    "PUBLISH_ADDRESS": ("address of this machine on which the API and Flower are published", "127.0.0.1"),
    "PUBLISH_API_PORT": ("port of this machine for the API; PIXMILL_PUBLIC_URL must name it too", "8000"),
    "PUBLISH_FLOWER_PORT": ("port of this machine for Flower", "5555"),
}


def settings_classes() -> list[type[Settings]]:
    """All settings classes of all packages of this repository, in the order of modules and lines."""
    for module in _settings_modules():
        importlib.import_module(module)
    found = [cls for cls in _subclasses(Settings) if cls.__module__.partition(".")[0].startswith("pixmill")]
    return sorted(found, key=lambda cls: (not cls.__module__.startswith("pixmill_shared"), cls.__module__))


def variable(cls: type[Settings], name: str) -> str:
    """The environment variable of a field."""
    alias = cls.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        alias = alias.choices[0]
    return alias if isinstance(alias, str) else name.upper()


def variables(cls: type[Settings]) -> set[str]:
    return {variable(cls, name) for name in cls.model_fields}


def render() -> str:
    """The whole file."""
    sections = [_HEAD]
    for cls in settings_classes():
        lines = [line for name in cls.model_fields for line in _entry(cls, name)]
        sections.append("\n".join([_title(cls), *lines]) + "\n")
    lines = [line for name, (meaning, value) in COMPOSE_ONLY.items() for line in _lines(name, meaning, value)]
    sections.append("\n".join([_rule("docker-compose.yml itself"), *lines]) + "\n")
    return "\n".join(sections)


def _settings_modules() -> Iterator[str]:
    for module in pkgutil.iter_modules(pixmill_shared.settings.__path__):
        yield f"pixmill_shared.settings.{module.name}"
    packages = {point.value.partition(".")[0] for point in entry_points(group="pixmill.tasks")} | {"pixmill"}
    for package in sorted(packages):
        if package.startswith("pixmill") and package != "pixmill_shared" and find_spec(f"{package}.settings"):
            yield f"{package}.settings"


def _subclasses(cls: type[Settings]) -> Iterator[type[Settings]]:
    for child in cls.__subclasses__():
        yield child
        yield from _subclasses(child)


def _entry(cls: type[Settings], name: str) -> list[str]:
    field = cls.model_fields[name]
    alias = variable(cls, name)
    if not field.description:
        raise SystemExit(f"{cls.__module__}.{cls.__name__}.{name}: give the field a description with its unit")
    return _lines(alias, field.description, None if alias in REQUIRED else _default(field))


def _lines(name: str, meaning: str, value: str | None) -> list[str]:
    comment = textwrap.wrap(meaning.rstrip("."), 116, initial_indent="# ", subsequent_indent="# ")
    return [*comment, f"{name}={REQUIRED.get(name, 'changeme')}" if value is None else f"#{name}={value}"]


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, Enum):
        default = default.value
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else f"{default:g}" if isinstance(default, float) else str(default)


def _title(cls: type[Settings]) -> str:
    return _rule(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__.removesuffix("Settings")).capitalize())


def _rule(title: str) -> str:
    return f"# ---- {title} ".ljust(119, "-") + "\n"


if __name__ == "__main__":
    TARGET.write_text(render())
    sys.stdout.write(f"wrote {TARGET}\n")
