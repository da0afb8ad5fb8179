"""Identifiers: UUIDv7, in the order of their making, never the same."""

import datetime
import time
import uuid

import pytest

from pixmill_shared.domain.ids import SMALLEST_ID, least_id, moment_of, new_id


def test_id_is_a_version_7_uuid_of_now() -> None:
    before = time.time_ns() // 1_000_000
    made = [new_id() for _ in range(1_000)]
    after = time.time_ns() // 1_000_000
    assert {(each.version, each.variant) for each in made} == {(7, uuid.RFC_4122)}
    assert all(before <= each.int >> 80 <= after for each in made)


def test_ids_of_later_milliseconds_sort_later_as_numbers_and_as_text() -> None:
    made = []
    for _ in range(5):
        made.append(new_id())
        at = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == at:
            pass
    assert made == sorted(made)
    assert [str(each) for each in made] == sorted(map(str, made))


def test_ids_of_one_millisecond_sort_by_the_microsecond(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(range(1_800_000_000_000_000_000, 1_800_000_000_001_000_000, 1_000))
    monkeypatch.setattr(time, "time_ns", lambda: next(moments))
    made = [new_id() for _ in range(1_000)]
    assert {each.int >> 80 for each in made} == {1_800_000_000_000}
    assert made == sorted(made)


def test_ids_are_unique_and_their_random_bits_all_move() -> None:
    made = [new_id().int for _ in range(50_000)]
    assert len(set(made)) == len(made)
    ones = zeros = 0
    for each in made:
        ones |= each
        zeros |= ~each
    random_bits = (1 << 80) - 1 - (0xF << 76) - (0x3 << 62)
    assert ones & zeros & random_bits == random_bits


def test_no_id_of_a_moment_or_later_is_smaller_than_its_least_one() -> None:
    made = new_id()
    assert least_id(moment_of(made)) <= made
    assert least_id(moment_of(made) + datetime.timedelta(milliseconds=2)) > made


def test_least_id_of_a_time_before_all_ids_is_that_of_the_first_one() -> None:
    first = least_id(datetime.datetime.fromtimestamp(0, datetime.UTC))
    assert least_id(moment_of(SMALLEST_ID) - datetime.timedelta(seconds=5)) == first
    assert least_id(datetime.datetime.min.replace(tzinfo=datetime.UTC)) == first
