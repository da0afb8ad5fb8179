"""The sheet of the demonstration: every picture in its place under its category, and nothing over its edges."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.testing.contact_sheet import contact_sheet

MARGIN, SIDE, STEP, TOP, ROW = 56, 320, 352, 232, 504
"""Pixels: to the left, of a picture, from one to the next, to the first row of pictures, from row to row."""

PAPER = (250, 248, 244)
EMPTY = (234, 229, 220)
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30), (30, 200, 200), (200, 30, 200)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One colour each, none of them square."""
    directory = tmp_path_factory.mktemp("pictures")
    paths = [directory / f"{number}.png" for number in range(len(COLOURS))]
    for path, colour in zip(paths, COLOURS, strict=True):
        Image.new("RGB", (90, 60), colour).save(path)
    return [str(path) for path in paths]


def entry(picture: str | None, caption: str = "枝豆") -> dict[str, Any]:
    return {"picture": picture, "caption": caption, "subtitle": "Edamame", "mark": "placeholder", "warns": True}


def sheet(*sizes: int, pictures: list[str]) -> dict[str, Any]:
    """Groups of so many entries."""
    paths = iter(pictures)
    groups = [{"heading": f"前菜 {size}", "entries": [entry(next(paths)) for _ in range(size)]} for size in sizes]
    return {"title": "A menu", "remark": "all placeholders", "groups": groups}


def tall_ink(drawn: Image.Image) -> int:
    """Pixels of the height of the remark's letters."""
    remark = drawn.crop((0, 100, drawn.width, 140)).convert("L").point(lambda value: 255 if value < 200 else 0)
    box = remark.getbbox()
    assert box is not None
    return box[3] - box[1]


def middle(row: int, column: int) -> tuple[int, int]:
    return MARGIN + column * STEP + SIDE // 2, TOP + row * ROW + SIDE // 2


@pytest.mark.parametrize(
    ("sizes", "places"),
    [
        ((4, 2), [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]),
        ((2, 2, 2), [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]),
        ((2, 3, 1), [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (1, 3)]),
        ((5, 1), [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]),
    ],
    ids=["one-row-each", "two-in-a-row", "no-room-left", "more-than-a-row"],
)
def test_groups_share_a_row_if_they_fit_and_go_on_in_the_next(
    pictures: list[str], sizes: tuple[int, ...], places: list[tuple[int, int]]
) -> None:
    drawn = contact_sheet(sheet(*sizes, pictures=pictures), FontBook())
    assert [drawn.getpixel(middle(*place)) for place in places] == COLOURS
    assert drawn.size == (1488, 156 + (places[-1][0] + 1) * ROW + 28)


def test_long_texts_stay_in_their_place_and_a_missing_picture_is_an_empty_frame(pictures: list[str]) -> None:
    long = "ほうれん草の胡麻和え " * 20
    group = {"heading": long, "entries": [entry(None, long), entry(pictures[0])]}
    drawn = contact_sheet({"title": long, "remark": long, "groups": [group]}, FontBook())
    assert drawn.getpixel(middle(0, 0)) == EMPTY
    width, height = drawn.size
    beside = drawn.crop((MARGIN + SIDE + 1, TOP, MARGIN + STEP, height))
    right = drawn.crop((width - MARGIN + 1, 0, width, height))
    below = drawn.crop((MARGIN + 2 * STEP, 156, width, height))
    assert tall_ink(drawn) > 10
    for region in (beside, right, below):
        assert region.getcolors() == [(region.width * region.height, PAPER)]


def test_the_command_writes_a_png_of_what_comes_in(tmp_path: Path, pictures: list[str]) -> None:
    target = tmp_path / "sheet.png"
    argv = [sys.executable, "-m", "pixmill_imaging.testing.contact_sheet", str(target)]
    subprocess.run(argv, input=json.dumps(sheet(1, pictures=pictures)).encode(), check=True)
    with Image.open(target) as image:
        assert (image.format, image.getpixel(middle(0, 0))) == ("PNG", COLOURS[0])
