"""Differences between what is registered and what the contract says; a name that is taken."""

import pytest

from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.errors import ConfigurationError
from pixmill_shared.plumbing.app import PixmillCelery, PixmillTask
from pixmill_shared.plumbing.registration import check_registration, check_schedule, differences, installed_prefixes

ALL = [name.value for name in TaskName]


def test_what_the_contract_says_is_no_difference() -> None:
    assert differences(ALL, ["pixmill_imaging.", "pixmill_notifier.", "pixmill_shared."]) == []


@pytest.mark.parametrize("missing", ALL)
def test_missing_task_is_named(missing: str) -> None:
    prefix = missing.partition(".")[0] + "."
    wrong = differences([name for name in ALL if name != missing], [prefix])
    assert wrong == [f"{missing} is in the contract but not registered"]


def test_extra_task_is_named() -> None:
    wrong = differences([*ALL, "pixmill_shared.tasks.x.surprise"], ["pixmill_shared."])
    assert wrong == ["pixmill_shared.tasks.x.surprise is registered but not in the contract"]


def test_task_of_a_package_that_is_not_installed_is_not_missed() -> None:
    shared = [name for name in ALL if name.startswith("pixmill_shared.")]
    assert differences(shared, ["pixmill_shared."]) == []


def test_third_party_may_bring_tasks_under_its_own_prefix() -> None:
    assert differences([*ALL, "acme.paint", "celery.chord"], installed_prefixes()) == []


def test_check_names_every_difference_and_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_registration([*ALL[1:], "pixmill_imaging.tasks.extra"])
    said = str(raised.value)
    assert ALL[0] in said
    assert "pixmill_imaging.tasks.extra" in said
    assert "Mend pixmill_shared.contract.tasks" in said


def test_schedule_of_the_repository_is_fit_for_beat() -> None:
    check_schedule()


def test_name_that_is_taken_is_refused_and_both_modules_are_named() -> None:
    app = PixmillCelery("doubled", task_cls=PixmillTask, set_as_current=False)

    def first() -> None: ...

    def second() -> None: ...

    second.__module__ = "another.module"
    app.task(name="acme.same", lazy=False)(first)
    with pytest.raises(ConfigurationError, match=r"acme\.same is registered twice: by .* and by another\.module"):
        app.task(name="acme.same", lazy=False)(second)


def test_same_function_may_be_registered_again() -> None:
    app = PixmillCelery("again", task_cls=PixmillTask, set_as_current=False)

    def once() -> None: ...

    first = app.task(name="acme.once", lazy=False)(once)
    assert app.task(name="acme.once", lazy=False)(once) is first
