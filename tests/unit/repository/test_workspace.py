"""Packages, versions, task runners and documents of the workspace fit together."""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from tests.integration.containers.dockerfile import read_dockerfile

from pixmill.cli import app as cli

ROOT = Path(__file__).parents[3]
PACKAGES = sorted(path.parent for path in ROOT.glob("package/*/pyproject.toml"))
MAKEFILE = (ROOT / "Makefile").read_text()
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/**/*.md", "package/*/README.md")
    for path in sorted(ROOT.glob(pattern))
    if path.name != "CHANGELOG.md"
]
DOCKERFILES = sorted([*ROOT.glob("package/*/Dockerfile"), *ROOT.glob("package/shared/Dockerfile.*")])


def targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z][a-z-]*):", MAKEFILE))


def code_of(document: Path) -> str:
    """What stands in code blocks and between backticks."""
    text = document.read_text()
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    lines = "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))])
    return re.sub(r"(?m)(^|\s)#.*$", "", lines)


def commands_of_cli() -> set[str]:
    group = typer.main.get_command(cli)
    return set(group.list_commands(group.make_context("pixmill", ["--help"], resilient_parsing=True)))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_package_is_complete(package: Path) -> None:
    (module,) = (package / "src").glob("pixmill*")
    for file in (package / "README.md", package / "moon.yml", module / "py.typed", module / "__init__.py"):
        assert file.is_file(), f"add {file.relative_to(ROOT)}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_version_is_written_in_one_place(package: Path) -> None:
    document = tomllib.loads((package / "pyproject.toml").read_text())
    assert document["project"]["dynamic"] == ["version"], "the version stands in the root's pyproject.toml"
    assert document["tool"]["hatch"]["version"]["path"] == "../../pyproject.toml"
    assert "__version__" not in "".join(path.read_text() for path in package.glob("src/*/__init__.py"))


def test_moon_knows_every_package() -> None:
    sources = yaml.safe_load((ROOT / ".moon/workspace.yml").read_text())["projects"]["sources"]
    expected = {path.name: f"package/{path.name}" for path in PACKAGES} | {"root": "."}
    assert sources == expected, "list the package in .moon/workspace.yml"
    tasks = yaml.safe_load((ROOT / ".moon/tasks/python.yml").read_text())["tasks"]
    assert {"test", "lint", "typecheck"} <= set(tasks)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_moon_finds_unit_tests_of_every_package(package: Path) -> None:
    assert list((ROOT / "tests/unit" / package.name).rglob("test_*.py")), f"moon run {package.name}:test would fail"


def test_moon_downloads_no_toolchain() -> None:
    assert not list((ROOT / ".moon").glob("toolchain*"))
    for file in [ROOT / "moon.yml", *(path / "moon.yml" for path in PACKAGES)]:
        assert yaml.safe_load(file.read_text())["toolchains"] == {"default": "system"}, file


def test_npm_lock_names_no_registry() -> None:
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    from_somewhere = [name for name, entry in locked.items() if "://" in json.dumps({**entry, "funding": None})]
    assert from_somewhere == [], "renew it with npm install; .npmrc leaves the addresses out"
    assert {name: locked[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    platforms = locked["node_modules/@moonrepo/cli"]["optionalDependencies"]
    assert {name for name in platforms if f"node_modules/{name}" not in locked} == set(), "npm ci refuses such a lock"


def test_make_installs_the_uv_of_the_lock() -> None:
    found = re.search(r"(?m)^UV_VERSION := (\S+)$", MAKEFILE)
    assert found
    assert f"\nuv=={found[1]} " in (ROOT / "requirements.lock").read_text(), "set UV_VERSION in the Makefile"


def test_check_runs_every_gate() -> None:
    recipe = MAKEFILE.partition("\ncheck:")[2].partition("\n\n")[0]
    for gate in ("ruff check", "ruff format --check", "mypy", "lint-imports", "hadolint", "check-jsonschema"):
        assert f"$(BIN)/{gate}" in recipe, f"make check must run {gate}"
    assert "tests/unit/repository" in recipe


def test_ci_runs_what_everyone_runs() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    steps = [line for line in lines if not line.startswith(("set ", "cd ", "export "))]
    assert steps == ["! command -v npm >/dev/null || npm ci --silent --no-audit --no-fund", "make check", "make test"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_document_names_only_commands_that_exist(document: Path) -> None:
    code = code_of(document)
    make = set(re.findall(r"(?m)(?:^|[;&|])\s*make ([a-z][a-z-]*)", code))
    assert make - targets() == set(), "no such target in the Makefile"
    pixmill = set(re.findall(r"(?m)(?:^|[ /;&(])pixmill ([a-z][a-z-]*)", code))
    assert pixmill - commands_of_cli() == set(), "no such command of pixmill"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_document_links_to_files_that_exist(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    missing = [link for link in links if "://" not in link and not (document.parent / link).exists()]
    assert missing == [], "mend the link"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_dockerfile_keeps_the_rules_of_all_images(dockerfile: Path) -> None:
    stages = read_dockerfile(dockerfile)
    build, image = stages[0], stages[-1]
    assert {build.base, image.base} == {"python:3.12-slim-bookworm"}
    runs = [entry.value for entry in build.all("RUN")]
    assert "--require-hashes" in runs[0]
    assert "--require-hashes" in runs[1]
    assert "--no-deps" in runs[2]
    copied = [entry.value.split()[0] for entry in build.all("COPY")]
    assert copied.index("pyproject.toml") > next(i for i, name in enumerate(copied) if "requirements" in name), (
        "copy the lock and install it before the sources, or each change downloads everything again"
    )
    assert image.one("USER").value == "10001:10001"
    assert image.environment["PIXMILL_BIND"] == "0.0.0.0"
    assert image.one("CMD").words()
    assert "PIXMILL_PORT" in image.healthcheck[-1]
    assert image.one("EXPOSE").value == image.environment["PIXMILL_PORT"]


def test_sources_that_a_dockerfile_copies_are_not_ignored() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    kept = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        entry.value.split()[0].partition("/")[0]
        for dockerfile in DOCKERFILES
        for stage in read_dockerfile(dockerfile)
        for entry in stage.all("COPY")
        if "from" not in entry.flags
    }
    assert copied == kept, "let .dockerignore keep what the Dockerfiles copy, and nothing else"
