"""ICC profiles for tests, made in code: RGB spaces by their primaries (ICC.1:2010, matrix and curve)."""

import struct
from typing import Final

#: Red, green and blue as XYZ adapted to D50, as the published profiles have them.
_DISPLAY_P3: Final = ((0.51512, 0.24119, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
_ADOBE_RGB: Final = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_SRGB: Final = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
_D50: Final = (0.9642, 1.0, 0.8249)

#: Parametric curve of type 3: gamma, a, b, c, d of sRGB, which Display P3 shares.
_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def display_p3() -> bytes:
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(_fixed(value) for value in _SRGB_CURVE)
    return _matrix_profile(b"Display P3", _DISPLAY_P3, curve)


def adobe_rgb() -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563) + b"\0\0"
    return _matrix_profile(b"Adobe RGB (1998)", _ADOBE_RGB, curve)


def nearly_srgb(gamma: float) -> bytes:
    """The colours of sRGB, and a plain power instead of its curve."""
    return _matrix_profile(b"nearly sRGB", _SRGB, b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0")


def grey_gamma(gamma: float) -> bytes:
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    return _profile(b"GRAY", {b"desc": _described(b"grey"), b"wtpt": _xyz(_D50), b"kTRC": curve})


def _matrix_profile(name: bytes, primaries: tuple[tuple[float, float, float], ...], curve: bytes) -> bytes:
    colours = zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)
    tags = {b"desc": _described(name), b"wtpt": _xyz(_D50), **{tag: _xyz(value) for tag, value in colours}}
    return _profile(b"RGB ", {**tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)})


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    at = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, value in tags.items():
        table += tag + struct.pack(">II", at + len(body), len(value))
        body += value
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"none", 0x02400000, b"mntr", space, b"XYZ ")
    rest = struct.pack(">12x4s28x", b"acsp") + b"".join(_fixed(value) for value in _D50)
    return (head + rest).ljust(128, b"\0") + table + body


def _described(name: bytes) -> bytes:
    return b"desc\0\0\0\0" + struct.pack(">I", len(name) + 1) + name + bytes(1 + 4 + 4 + 2 + 1 + 67 + 3 - len(name) % 4)


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(_fixed(part) for part in value)


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))
