"""The rules of the source tree that no linter of the market knows."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCES = sorted(ROOT.glob("package/*/src/**/*.py"))

LONGEST_MODULE = 300
LONGEST_FUNCTION = 60
CATCH_ALL = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

#: Heavy library to the directories (or modules) in which it may be imported.
HOMES = {
    "PIL": ("pixmill_imaging/pillow/", "pixmill_imaging/testing/"),
    "pyvips": ("pixmill_imaging/vips/",),
    "httpx": ("pixmill_shared/egress/", "pixmill/client.py"),
    "httpcore": ("pixmill_shared/egress/",),
    "obstore": ("pixmill_shared/storage/",),
    "fastapi": ("pixmill_api/",),
    "celery": ("pixmill_shared/plumbing/",),
    "typer": ("pixmill/",),
}
#: What domain/ may import of pixmill's own: other decisions, the contract, the error tree.
OWN_IN_DOMAIN = ("domain", "contract", "errors")


def module_path(path: Path) -> str:
    """``pixmill_api/app.py``"""
    return path.relative_to(ROOT).as_posix().partition("/src/")[2]


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names, imports inside functions included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def strays(path: str, source: str) -> list[str]:
    """The heavy libraries that ``source``, at ``path``, imports away from their home."""
    libraries = {name.partition(".")[0] for name in imported(ast.parse(source))}
    return sorted(name for name in libraries & set(HOMES) if not path.startswith(HOMES[name]))


def foreign_in_domain(source: str) -> list[str]:
    """What a module of domain/ may not import."""
    return [name for name in imported(ast.parse(source)) if not _fits_domain(name)]


def _fits_domain(name: str) -> bool:
    package, _, rest = name.partition(".")
    if package.startswith("pixmill"):
        return rest.partition(".")[0] in OWN_IN_DOMAIN
    return package in sys.stdlib_module_names


def reads_environment(source: str) -> bool:
    """``os.environ`` or ``os.getenv``, however imported."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"):
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in ("environ", "environb", "getenv") for alias in node.names)
    return False


def long_functions(source: str) -> dict[str, int]:
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


def test_there_are_sources() -> None:
    assert {module_path(path).partition("/")[0] for path in SOURCES} == {
        *("pixmill_shared", "pixmill_api", "pixmill_imaging", "pixmill_notifier", "pixmill"),
    }


def test_heavy_libraries_stay_in_their_homes() -> None:
    found = {module_path(path): strays(module_path(path), path.read_text()) for path in SOURCES}
    wrong = {name: libraries for name, libraries in found.items() if libraries}
    assert wrong == {}, f"call the library's home instead of the library: {HOMES}"


def test_domain_is_standard_library_only() -> None:
    found = {module_path(path): foreign_in_domain(path.read_text()) for path in SOURCES if "/domain/" in str(path)}
    assert found
    wrong = {name: names for name, names in found.items() if names}
    assert wrong == {}, "a decision needs no library: pass it values, and keep the library in service/ or its home"


def test_environment_is_read_in_settings_modules_only() -> None:
    wrong = [
        name
        for path in SOURCES
        if "settings" not in (name := module_path(path)) and reads_environment(path.read_text())
    ]
    assert wrong == [], "add a field to a settings class and load that class"


def test_modules_are_short() -> None:
    lengths = {module_path(path): len(path.read_text().splitlines()) for path in SOURCES}
    wrong = {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE}
    assert wrong == {}, f"above {LONGEST_MODULE} lines: split it by subject"


def test_functions_are_short() -> None:
    found = {
        module_path(path): long_functions(path.read_text())
        for path in SOURCES
        if "/migrations/versions/" not in str(path)  # a migration is a list, and is never changed
    }
    wrong = {name: functions for name, functions in found.items() if functions}
    assert wrong == {}, f"above {LONGEST_FUNCTION} lines: take its steps apart"


def test_files_are_named_for_their_subject() -> None:
    wrong = [module_path(path) for path in SOURCES if path.stem in CATCH_ALL or path.parent.name in CATCH_ALL]
    assert wrong == [], "name the file for the one thing that is in it"


@pytest.mark.parametrize(
    ("path", "line", "library"),
    [
        ("pixmill_notifier/service/deliver.py", "import httpx", "httpx"),
        ("pixmill_imaging/service/render.py", "def late():\n    from PIL import Image", "PIL"),
        ("pixmill_shared/egressive.py", "import httpcore.connection", "httpcore"),
    ],
)
def test_a_stray_library_is_noticed(path: str, line: str, library: str) -> None:
    assert strays(path, line) == [library]


@pytest.mark.parametrize("line", ["import sqlalchemy", "from pixmill_shared.storage import ObjectStore"])
def test_a_library_in_domain_is_noticed(line: str) -> None:
    assert foreign_in_domain(line)
    assert not foreign_in_domain("import math\nfrom pixmill_shared.contract.codes import ErrorCode")


@pytest.mark.parametrize("line", ["import os\nos.environ['A']", "from os import getenv", "import os\nos.getenv('A')"])
def test_a_read_of_the_environment_is_noticed(line: str) -> None:
    assert reads_environment(line)
