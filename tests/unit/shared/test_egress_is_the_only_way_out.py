"""The guard holds only while nobody walks around it: HTTP clients are imported in their one home."""

import ast
from pathlib import Path

import pytest

PACKAGES = Path(__file__).parents[3] / "package"
CLIENTS = {"aiohttp", "http.client", "httpcore", "httpx", "requests", "urllib.request", "urllib3"}
# The guarded transport, and the client of pixmill's own API, which runs on the user's machine.
HOMES = ("shared/src/pixmill_shared/egress/", "cli/src/")


def imported(source: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {client for client in CLIENTS for name in names if name == client or name.startswith(client + ".")}


def test_services_import_no_http_client_but_the_guarded_one() -> None:
    sources = {path.relative_to(PACKAGES).as_posix(): path for path in PACKAGES.glob("*/src/**/*.py")}
    found = {
        name: clients
        for name, path in sources.items()
        if not name.startswith(HOMES) and (clients := imported(path.read_text()))
    }
    assert any(name.startswith(HOMES[0]) for name in sources)
    assert found == {}, "use pixmill_shared.egress.EgressClient: it checks addresses and keeps a deadline"


@pytest.mark.parametrize("line", ["import httpx", "from urllib import request", "import http.client as http"])
def test_import_of_a_client_is_noticed(line: str) -> None:
    assert imported(f"def late():\n    {line}\n")
