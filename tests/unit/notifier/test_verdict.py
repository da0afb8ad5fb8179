"""What a receiver's answer means for a delivery."""

import random

import pytest

from pixmill_notifier.domain.verdict import Answer, Delivered, GiveUp, TryAgain, judge
from pixmill_shared.domain.backoff import WEBHOOK_SCHEDULE

RNG = random.Random(7)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    assert judge(Answer(status), 1, RNG) == Delivered()


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 500, 503])
def test_any_other_status_is_tried_again(status: int) -> None:
    verdict = judge(Answer(status), 1, RNG)
    assert isinstance(verdict, TryAgain)
    assert verdict.delay > 0
    assert str(status) in verdict.reason


def test_410_says_that_the_receiver_wants_no_more() -> None:
    verdict = judge(Answer(410), 1, RNG)
    assert isinstance(verdict, GiveUp)
    assert not verdict.exhausted


def test_a_problem_that_waiting_cannot_mend_is_given_up_at_once() -> None:
    verdict = judge(Answer(None, "The address is forbidden.", final=True), 1, RNG)
    assert verdict == GiveUp("The address is forbidden.", exhausted=False)


def test_no_answer_is_tried_again_with_its_own_reason() -> None:
    verdict = judge(Answer(None, "The receiver did not answer in time."), 1, RNG)
    assert isinstance(verdict, TryAgain)
    assert verdict.reason == "The receiver did not answer in time."


def test_the_wait_that_a_busy_receiver_asks_for_is_kept() -> None:
    verdict = judge(Answer(429, retry_after=900), 1, RNG)
    assert isinstance(verdict, TryAgain)
    assert verdict.delay >= 900


def test_when_all_tries_are_made_a_person_should_look_at_it() -> None:
    verdict = judge(Answer(500), len(WEBHOOK_SCHEDULE) + 1, RNG)
    assert isinstance(verdict, GiveUp)
    assert verdict.exhausted
