"""The locks hold what pyproject.toml files ask for: no more, no less, and no address. Decided without a network."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from tools.lock import BUILD_LOCK, BUILD_REQUIREMENTS, IMAGE_LOCKS, ROOT_LOCK, package_names

ROOT = Path(__file__).parents[3]
MEND = "run: make lock"
LOCKS = [ROOT_LOCK, BUILD_LOCK, *(image.path for image in IMAGE_LOCKS)]
EXTRA = {"extra": ""}


def entries(lock: str) -> dict[str, tuple[Version, bool]]:
    """Name to version, and whether the pin applies to this Python and system."""
    found = {}
    for line in (ROOT / lock).read_text().splitlines():
        if "==" in line and not line.startswith((" ", "#")):
            requirement = Requirement(line.removesuffix("\\").strip())
            applies = requirement.marker is None or requirement.marker.evaluate(EXTRA)
            (pin,) = requirement.specifier
            name = canonicalize_name(requirement.name)
            if applies or name not in found:
                found[name] = (Version(pin.version), applies)
    return found


def pyproject(directory: str) -> dict[str, object]:
    return tomllib.loads((ROOT / directory / "pyproject.toml").read_text())


def declared(directories: Iterable[str], extras: set[str]) -> list[Requirement]:
    """What the pyproject.toml files ask for, with the extras named, or all of them for ``*``."""
    texts: list[str] = []
    for directory in directories:
        document = pyproject(directory)
        project: dict[str, object] = document["project"]  # type: ignore[assignment]
        texts += project.get("dependencies", [])  # type: ignore[arg-type]
        optional: dict[str, list[str]] = project.get("optional-dependencies", {})  # type: ignore[assignment]
        texts += [text for name, group in optional.items() if name in extras or "*" in extras for text in group]
        groups: dict[str, list[str]] = document.get("dependency-groups", {})  # type: ignore[assignment]
        texts += [text for group in groups.values() for text in group]
    own = {canonicalize_name(name) for name in package_names()}
    return [requirement for requirement in map(Requirement, texts) if canonicalize_name(requirement.name) not in own]


def closure(requirements: Iterable[Requirement]) -> dict[str, list[Requirement]]:
    """Everything that they lead to on this machine, by the metadata of what is installed; name to who asks."""
    found: dict[str, list[Requirement]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in requirements]
    while waiting:
        requirement, context = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": context}):
            continue
        name = canonicalize_name(requirement.name)
        found.setdefault(name, []).append(requirement)
        for extra in requirement.extras | {""}:
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(child, extra) for child in children(name)]
    return found


def children(name: str) -> Iterator[Requirement]:
    for text in requires(name) or ():
        yield Requirement(text)


def compare(lock: str, requirements: list[Requirement]) -> list[str]:
    """A sentence per difference."""
    pins, wanted = entries(lock), closure(requirements)
    wrong = [f"{name} is missing from {lock}" for name in wanted if name not in pins or not pins[name][1]]
    wrong += [f"{name} in {lock} is asked for by nobody" for name in pins if pins[name][1] and name not in wanted]
    for name, askers in wanted.items():
        for asker in askers:
            if name in pins and not asker.specifier.contains(pins[name][0], prereleases=True):
                wrong.append(f"{lock} pins {name} {pins[name][0]}, but {asker} is asked for")
    return wrong


def test_root_lock_is_what_all_packages_ask_for() -> None:
    packages = [f"package/{file.parent.name}" for file in ROOT.glob("package/*/pyproject.toml")]
    wrong = compare(ROOT_LOCK, declared([*packages, "."], {"*"}))
    assert wrong == [], MEND


@pytest.mark.parametrize("image", IMAGE_LOCKS, ids=lambda image: image.path)
def test_image_lock_is_what_its_packages_ask_for(image: object) -> None:
    directories = [f"package/{name}" for name in image.packages]  # type: ignore[attr-defined]
    wrong = compare(image.path, declared(directories, set(image.extras)))  # type: ignore[attr-defined]
    assert wrong == [], MEND


def test_build_lock_is_the_installer_and_the_backend() -> None:
    assert compare(BUILD_LOCK, [Requirement(text) for text in BUILD_REQUIREMENTS]) == [], MEND


@pytest.mark.parametrize("lock", [BUILD_LOCK, *(image.path for image in IMAGE_LOCKS)])
def test_images_get_the_versions_that_the_tests_ran_with(lock: str) -> None:
    root = entries(ROOT_LOCK)
    other = {name: version for name, (version, _) in entries(lock).items() if root.get(name, (None,))[0] != version}
    assert other == {}, MEND


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_has_a_hash_for_each_pin_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text, f"{lock} names a registry, and would fail where that is out of reach; {MEND}"
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", text))
    without = [block.split()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block]
    assert without == [], MEND


def test_a_dependency_that_is_not_locked_is_noticed() -> None:
    wrong = compare("package/notifier/requirements.lock", declared(["package/shared", "package/imaging"], set()))
    assert "pillow is missing from package/notifier/requirements.lock" in wrong
    assert "standardwebhooks in package/notifier/requirements.lock is asked for by nobody" in wrong
