"""The menu of ``pixmill demo`` on a stack without a key: eight cards, a sheet, and the truth about them."""

import io
from pathlib import Path

from PIL import Image
from rich.console import Console
from tests.e2e.conftest import Pixmill

from pixmill.client import Client
from pixmill.demo.jobs import Watched, watch
from pixmill.demo.menu import MENU, save_menu, send_menu
from pixmill.demo.run import show_menu

NAMES = [english for dishes in MENU.values() for _, english, _ in dishes]


def test_a_menu_becomes_a_sheet_of_placeholders_that_are_said_to_be(pixmill: Pixmill, tmp_path: Path) -> None:
    seen: list[int] = []

    def note(job: Watched) -> None:
        seen.append(job.document["progress"])

    with Client(pixmill.stack.urls["api"]) as client:
        job = send_menu(client, None)
        watch(client, [job], note, 60)
        dishes = save_menu(client, job, tmp_path)
    assert job.document["status"] == "completed"
    assert (seen, seen[-1]) == (sorted(seen), 100)
    assert [(dish.category, dish.english) for dish in dishes] == [
        (category, english) for category, found in MENU.items() for _, english, _ in found
    ]
    assert {(dish.provider, dish.is_real) for dish in dishes} == {("placeholder", False)}
    names = [dish.file.name for dish in dishes if dish.file]
    assert names[:2] == ["menu_image_edamame.png", "menu_image_chilled_tofu.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)

    console = Console(file=io.StringIO(), width=200)
    show_menu(console, dishes, tmp_path / "sheet.png")
    said = console.file.getvalue()  # type: ignore[attr-defined]
    reason = "This installation has no key for an image provider (GEMINI_API_KEY)."
    assert f"8 of 8 pictures are placeholders: {reason}" in said
    assert str(tmp_path / "sheet.png") in said
    assert all(name in said for name in (*NAMES, *MENU))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (1488, 1192))
