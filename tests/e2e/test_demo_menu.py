"""The menu of ``pixmill demo``: eight pictures, a sheet of them, and the truth about those that no model made."""

import io
from pathlib import Path

from PIL import Image
from rich.console import Console
from tests.e2e.conftest import Pixmill
from tests.gemini import FakeGemini, bad_key, refused

from pixmill.client import Client
from pixmill.demo.jobs import Watched, watch
from pixmill.demo.menu import MENU, save_menu, send_menu
from pixmill.demo.run import show_menu

NAMES = [english for dishes in MENU.values() for _, english, _ in dishes]


def test_a_menu_becomes_a_sheet_and_placeholders_are_told_with_their_reasons(
    pixmill: Pixmill, gemini: FakeGemini, tmp_path: Path
) -> None:
    gemini.forget()
    gemini.script("Octopus", refused(words="No [/octopus] today"))
    gemini.script("Ginger Pork", bad_key())
    seen: list[int] = []

    def note(job: Watched) -> None:
        seen.append(job.document["progress"])

    with Client(pixmill.stack.urls["api"]) as client:
        job = send_menu(client, None)
        watch(client, [job], note, 90)
        dishes = save_menu(client, job, tmp_path)
    assert job.document["status"] == "completed"
    assert (seen, seen[-1]) == (sorted(seen), 100)
    assert [(dish.category, dish.english) for dish in dishes] == [
        (category, english) for category, found in MENU.items() for _, english, _ in found
    ]
    assert [(dish.english, dish.provider) for dish in dishes if not dish.is_real] == [
        ("Octopus with Wasabi", "placeholder"),
        ("Ginger Pork", "placeholder"),
    ]
    names = [dish.file.name for dish in dishes if dish.file]
    assert names[:2] == ["menu_image_edamame.png", "menu_image_chilled_tofu.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)

    said = io.StringIO()
    show_menu(Console(file=said, width=400), dishes, tmp_path / "sheet.png")
    assert "Placeholders: 2 of 8 pictures. The image provider refused" in said.getvalue()
    assert "No [/octopus] today" in said.getvalue()
    assert "does not serve this installation" in said.getvalue()
    assert str(tmp_path / "sheet.png") in said.getvalue()
    assert all(name in said.getvalue() for name in (*NAMES, *MENU))
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert (sheet.format, sheet.size) == ("PNG", (1488, 1192))
