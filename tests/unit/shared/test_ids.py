"""Identifiers: UUIDv7, in the order of their making, never the same."""

import time
import uuid

from pixmill_shared.domain.ids import new_id


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


def test_ids_are_unique_and_their_random_bits_all_move() -> None:
    made = [new_id().int for _ in range(50_000)]
    assert len(set(made)) == len(made)
    ones = zeros = 0
    for each in made[:2_000]:
        ones |= each
        zeros |= ~each
    random_bits = (1 << 80) - 1 - (0xF << 76) - (0x3 << 62)
    assert ones & zeros & random_bits == random_bits
