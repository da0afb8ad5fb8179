"""Ways to damage a file, each from a seed, so that a case can be tried again."""

import random
import zlib

#: Headers are where decoders are led astray.
_HEAD = 400
_TEMPTING = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\1", b"\xff\xff", b"\0\1")


def damaged(data: bytes, seed: object) -> bytes:
    """Another file of about the same length, always the same one for a seed."""
    dice = random.Random(repr(seed))
    how = dice.choice((_flip, _flip, _flip, _overwrite, _overwrite, _cut, _remove, _repeat, _zero))
    return how(bytearray(data), dice)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what is in them: else most damage is found before it is met."""
    out, at = bytearray(data), 8
    while at + 12 <= len(out):
        end = at + 8 + int.from_bytes(out[at : at + 4], "big")
        if end + 4 <= len(out):
            out[end : end + 4] = zlib.crc32(out[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(out)


def _place(data: bytearray, dice: random.Random) -> int:
    return dice.randrange(min(len(data), _HEAD)) if dice.random() < 0.5 else dice.randrange(len(data))


def _flip(data: bytearray, dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 1, 2, 4, 16))):
        data[_place(data, dice)] ^= 1 << dice.randrange(8)
    return bytes(data)


def _overwrite(data: bytearray, dice: random.Random) -> bytes:
    """Lengths, counts and sizes become what programs forget."""
    for _ in range(dice.choice((1, 1, 2, 3))):
        at, value = _place(data, dice), dice.choice(_TEMPTING)
        data[at : at + len(value)] = value
    return bytes(data)


def _cut(data: bytearray, dice: random.Random) -> bytes:
    return bytes(data[: _place(data, dice)])


def _remove(data: bytearray, dice: random.Random) -> bytes:
    at = _place(data, dice)
    return bytes(data[:at] + data[at + dice.randint(1, 64) :])


def _repeat(data: bytearray, dice: random.Random) -> bytes:
    at = _place(data, dice)
    part = data[at : at + dice.randint(1, 200)]
    return bytes(data[:at] + part * dice.choice((2, 3, 40)) + data[at:])


def _zero(data: bytearray, dice: random.Random) -> bytes:
    at, count = _place(data, dice), dice.randint(1, 64)
    data[at : at + count] = bytes(len(data[at : at + count]))
    return bytes(data)
