"""Figures are made once in a while, by one thread, and nobody waits for them who has older ones."""

import threading

import pytest

from pixmill_api.service.remembering import MOST, Remembering


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_answer_is_made_again_when_it_is_too_old() -> None:
    clock, made = Clock(), iter(range(10))
    remembering: Remembering[int] = Remembering(5, clock)

    def ask(key: str = "a") -> int:
        return remembering.get(key, lambda: next(made))

    assert (ask(), ask(), ask("b")) == (0, 0, 1)
    clock.now = 4.9
    assert ask() == 0
    clock.now = 5.0
    assert (ask(), ask(), ask("b")) == (2, 2, 3)


def test_while_one_thread_makes_it_the_others_get_the_answer_before() -> None:
    clock = Clock()
    remembering: Remembering[int] = Remembering(5, clock)
    remembering.get("a", lambda: 1)
    clock.now = 6
    begun, go_on, found = threading.Event(), threading.Event(), []

    def slow() -> int:
        begun.set()
        assert go_on.wait(60)
        return 2

    maker = threading.Thread(target=lambda: found.append(remembering.get("a", slow)))
    maker.start()
    assert begun.wait(60)
    assert remembering.get("a", lambda: 3) == 1
    go_on.set()
    maker.join(60)
    assert found == [2]
    assert remembering.get("a", lambda: 4) == 2


def test_what_failed_is_tried_again_by_the_next_who_asks() -> None:
    remembering: Remembering[int] = Remembering(5)

    def fail() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        remembering.get("a", fail)
    assert remembering.get("a", lambda: 1) == 1


def test_many_keys_do_not_grow_it_for_ever() -> None:
    remembering: Remembering[int] = Remembering(1000)
    for number in range(3 * MOST):
        remembering.get(str(number), lambda number=number: number)  # type: ignore[misc]
    assert len(remembering._kept) <= MOST
