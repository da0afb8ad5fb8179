"""ThumbHash against what the reference implementation (npm ``thumbhash`` 0.1.1) makes of the same pixels."""

import base64

import pytest

from pixmill_imaging.domain.thumbhash import thumbhash


def pixels(width, height, alpha):
    """Made in the reference's test by the same formula, in JavaScript."""
    rows = [(x, y) for y in range(height) for x in range(width)]
    return bytes(
        sample
        for x, y in rows
        for sample in ((x * 7 + y * 3) % 256, (x * y + 40) % 256, (255 - x * 5 + y) & 255, alpha(x, y))
    )


def opaque(_x, _y):
    return 255


def veiled(x, y):
    return (x * 11 + y * 5) % 256


def hidden(_x, _y):
    return 0


@pytest.mark.parametrize(
    ("width", "height", "alpha", "expected"),
    [
        (32, 24, opaque, "oiYKRYwBJFV1ioqFmGeYhqBFBpeW"),
        (24, 32, opaque, "YhYKNQwgVJWIaJdpiId3iPQxBkqp"),
        (100, 3, opaque, "HDcKQY5mPMCiiIeHUJS39YQ="),
        (32, 32, veiled, "ogaGFQIXBjV4i4RoePEUB8CwaYB0kGh4hw=="),
        (1, 50, veiled, "DnmeSR53CIeIeIgIh4hgiAj3hIuIeIg="),
        (31, 100, veiled, "IPeFGgIIQMqUdIjfNDjM74h3lBCICQs="),
        (8, 9, hidden, "AAiCBAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="),
    ],
)
def test_hash_is_that_of_the_reference(width, height, alpha, expected):
    made = thumbhash(width, height, pixels(width, height, alpha))
    assert base64.b64encode(made).decode() == expected


def test_one_colour_has_no_waves():
    made = thumbhash(9, 7, bytes((10, 200, 90, 255)) * 63)
    assert set(made[5:]) == {0}


def test_picture_that_is_too_large_is_refused():
    with pytest.raises(ValueError, match="101x1"):
        thumbhash(101, 1, bytes(404))
