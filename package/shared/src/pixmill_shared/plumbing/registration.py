"""Are the tasks that are registered those of the contract? Asked by each worker before it takes a message."""

from collections.abc import Iterable
from importlib.metadata import entry_points

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.plumbing.config import ENTRY_POINTS
from pixmill_shared.schedule import SCHEDULE

_OURS = "pixmill_"


def installed_prefixes() -> tuple[str, ...]:
    """``pixmill_shared.``, … of the installed packages; a third party's prefix is its own business."""
    modules = {point.value.partition(".")[0] for point in entry_points(group=ENTRY_POINTS)}
    return tuple(sorted(f"{module}." for module in modules if module.startswith(_OURS)))


def differences(registered: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """A sentence per task that is missing or extra under the prefixes."""
    prefixes = tuple(prefixes)
    expected = {name.value for name in TaskName if name.startswith(prefixes)}
    actual = {name for name in registered if name.startswith(prefixes)}
    missing = [f"{name} is in the contract but not registered" for name in sorted(expected - actual)]
    extra = [f"{name} is registered but not in the contract" for name in sorted(actual - expected)]
    return missing + extra


def check_registration(registered: Iterable[str]) -> None:
    """Raise ConfigurationError if an installed package and the contract differ."""
    wrong = differences(registered, installed_prefixes())
    if wrong:
        raise ConfigurationError(
            "; ".join(wrong) + ". Mend pixmill_shared.contract.tasks, or install matching versions of all packages."
        )


def check_schedule() -> None:
    """Raise ConfigurationError if beat would send a name that the contract does not have, or an endless tick."""
    for entry in SCHEDULE:
        if entry.task not in set(TaskName):
            raise ConfigurationError(f"schedule entry {entry.name}: {entry.task} is not in the contract")
        if entry.expires >= entry.every:
            raise ConfigurationError(f"schedule entry {entry.name}: expires must be below its interval")
