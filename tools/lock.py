"""``make lock``: renew ``requirements.lock`` and, within its pins, the locks of the images.

``make lock ARGS=--upgrade`` takes newer versions of everything.

The files hold versions and hashes and no address of a registry, so they install from any mirror. What each image
holds is written down here once; Dockerfiles and tests read it from the files.
"""

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".venv" / "bin" / "uv"
ROOT_LOCK = "requirements.lock"
BUILD_LOCK = "package/build.lock"

#: The oldest Python that pixmill supports; markers in the locks cover the newer ones.
_PYTHON = "3.11"
#: What a Dockerfile needs to install the sources: the installer and the build backend.
BUILD_REQUIREMENTS = ("hatchling", "uv")


@dataclass(frozen=True)
class ImageLock:
    """The third-party packages of one image: those of ``packages`` (directories below package/) with ``extras``."""

    path: str
    packages: tuple[str, ...]
    extras: tuple[str, ...] = ()


IMAGE_LOCKS = (
    ImageLock("package/api/requirements.lock", ("shared", "api", "cli")),
    ImageLock("package/imaging/requirements.lock", ("shared", "imaging"), ("fonts", "vips")),
    ImageLock("package/notifier/requirements.lock", ("shared", "notifier")),
    ImageLock("package/shared/requirements.beat.lock", ("shared",)),
    ImageLock("package/shared/requirements.flower.lock", ("shared",), ("flower",)),
)


def package_names() -> list[str]:
    """Distributions of this repository: never in a lock."""
    files = sorted(ROOT.glob("package/*/pyproject.toml"))
    return [tomllib.loads(file.read_text())["project"]["name"] for file in files]


def compile_lock(target: str, sources: list[str], *options: str, stdin: str | None = None) -> None:
    """Run ``uv pip compile``; what ``target`` pins already is kept where it still fits."""
    fixed = ["--universal", "--python-version", _PYTHON, "--generate-hashes", "--no-emit-index-url", "--no-header"]
    own = [word for name in package_names() for word in ("--no-emit-package", name)]
    command = [str(UV), "pip", "compile", "--quiet", *fixed, *own, *options, *sources, "-o", target]
    subprocess.run(command, cwd=ROOT, check=True, input=stdin, text=True, stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    upgrade = [word for word in arguments if word == "--upgrade"]
    if upgrade != arguments:
        print("usage: lock.py [--upgrade]", file=sys.stderr)
        return 2
    everything = sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("package/*/pyproject.toml"))
    compile_lock(ROOT_LOCK, [*everything, "pyproject.toml"], "--all-extras", "--group", "dev", *upgrade)
    within = ["--no-annotate", "--constraints", ROOT_LOCK, "--upgrade"]
    for image in IMAGE_LOCKS:
        extras = [word for extra in image.extras for word in ("--extra", extra)]
        compile_lock(image.path, [f"package/{name}/pyproject.toml" for name in image.packages], *within, *extras)
    compile_lock(BUILD_LOCK, ["-"], *within, stdin="\n".join(BUILD_REQUIREMENTS))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
