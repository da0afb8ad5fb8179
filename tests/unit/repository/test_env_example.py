"""``.env.example`` and the settings classes say the same."""

import itertools
import re
from pathlib import Path

import pytest
from tools.env_example import COMPOSE_ONLY, REQUIRED, TARGET, render, settings_classes, variable, variables

from pixmill_shared.errors import ConfigurationError
from pixmill_shared.settings.base import Settings

ROOT = Path(__file__).parents[3]
MEND = "run: .venv/bin/python tools/env_example.py"


def in_file() -> dict[str, str]:
    return dict(re.findall(r"(?m)^#?([A-Z][A-Z0-9_]+)=(.*)$", TARGET.read_text()))


def test_file_is_what_the_settings_classes_say() -> None:
    assert TARGET.read_text() == render(), MEND


def test_every_variable_of_every_class_is_in_the_file_and_no_other() -> None:
    expected = set().union(*(variables(cls) for cls in settings_classes())) | set(COMPOSE_ONLY)
    assert set(in_file()) == expected, MEND


def test_every_variable_has_a_line_about_its_meaning() -> None:
    lines = TARGET.read_text().splitlines()
    silent = [
        line
        for before, line in itertools.pairwise(lines)
        if re.match(r"#?[A-Z][A-Z0-9_]+=", line) and not before.startswith("# ")
    ]
    assert silent == [], MEND


def test_a_variable_means_one_thing() -> None:
    owners: dict[str, list[str]] = {}
    for cls in settings_classes():
        for name in cls.model_fields:
            owners.setdefault(variable(cls, name), []).append(cls.__name__)
    twice = {name: classes for name, classes in owners.items() if len(classes) > 1}
    assert twice == {}, "keep the field in one class, and load that class where it is needed"


def test_active_lines_are_those_that_have_to_be_set() -> None:
    active = dict(re.findall(r"(?m)^([A-Z][A-Z0-9_]+)=(.*)$", TARGET.read_text()))
    assert active["FLOWER_USER"] == "admin"
    assert active["FLOWER_PASSWORD"] == "changeme"
    must = set(REQUIRED) | {name for name, (_, value) in COMPOSE_ONLY.items() if value is None}
    assert set(active) == must
    assert [name for name, value in active.items() if "changeme" not in value] == ["FLOWER_USER"]


def test_compose_asks_for_no_variable_that_the_file_lacks() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", text)) | set(re.findall(r"(?m)^ +([A-Z][A-Z0-9_]+):$", text))
    assert asked - set(in_file()) == set(), f"add it to a settings class or to COMPOSE_ONLY, then {MEND}"


@pytest.mark.parametrize(
    "cls", [cls for cls in settings_classes() if variables(cls) & set(REQUIRED)], ids=lambda cls: cls.__name__
)
def test_placeholders_of_the_file_are_refused_in_production(
    cls: type[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    placeholders = {name: value for name, value in in_file().items() if "changeme" in value and name in variables(cls)}
    monkeypatch.delenv("PIXMILL_ENV", raising=False)
    for name in set(in_file()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DB_HOST", "db.example")
    monkeypatch.setenv("FLOWER_USER", "admin")
    for name, value in placeholders.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match="placeholder"):
        cls.load()
