"""The form parser: the same parts however the bytes are cut."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from pixmill_api.errors import BodyTooLarge, MalformedBody
from pixmill_api.forms import MultipartBody

TYPE = 'multipart/form-data; boundary="a b"'
BODY = (
    b'--a b\r\nContent-Disposition: form-data; name="one"\r\n\r\n1\r\n'
    b'--a b\r\ncontent-disposition: form-data; name="file"; filename="x.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    b"\r\n--a \x00\r\n--a b-not\r\n"
    b'\r\n--a b\r\nContent-Disposition: form-data; name="empty"\r\n\r\n\r\n--a b--\r\n'
)


async def chunks_of(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def read(body: bytes, size: int, *, skip: bool = False) -> list[tuple[str, str | None, bool, bytes]]:
    return [
        (part.name, part.content_type, part.is_file, b"" if skip else b"".join([c async for c in part.chunks]))
        async for part in MultipartBody(TYPE, chunks_of(body, size))
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
def test_parts_are_the_same_however_the_bytes_are_cut(size: int) -> None:
    assert asyncio.run(read(BODY, size)) == [
        ("one", None, False, b"1"),
        ("file", "image/jpeg", True, b"\r\n--a \x00\r\n--a b-not\r\n"),
        ("empty", None, False, b""),
    ]


def test_part_that_nobody_reads_is_passed_over() -> None:
    assert [part[0] for part in asyncio.run(read(BODY, 5, skip=True))] == ["one", "file", "empty"]


@pytest.mark.parametrize("size", [1, 10_000])
@pytest.mark.parametrize("cut", [3, 5, 8, 20, 60, 120, 200])
def test_form_that_ends_early_is_malformed(cut: int, size: int) -> None:
    with pytest.raises(MalformedBody):
        asyncio.run(read(BODY[:-cut], size))


@pytest.mark.parametrize("cut", [1, 2])
def test_line_break_after_the_last_boundary_may_be_missing(cut: int) -> None:
    assert len(asyncio.run(read(BODY[:-cut], 7))) == 3


def test_too_many_parts_are_malformed() -> None:
    part = b'--a b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    with pytest.raises(MalformedBody):
        asyncio.run(read(part * 51 + b"--a b--\r\n", 100))


def test_long_field_is_too_large() -> None:
    async def text() -> str:
        async for part in MultipartBody(TYPE, chunks_of(BODY, 10)):
            await part.text(0)
        return ""

    with pytest.raises(BodyTooLarge):
        asyncio.run(text())
