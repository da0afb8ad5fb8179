"""The demonstration's menu: sent as one job, its pictures saved, and shown on one sheet."""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pixmill.client import Client
from pixmill.demo.jobs import Watched
from pixmill.errors import DemoError

MENU: Final = {
    "前菜 Starters": [
        ("枝豆", "Edamame", "Young soybeans, boiled in their pods, with sea salt"),
        ("冷奴", "Chilled Tofu", "Silken tofu with grated ginger, spring onion and soy sauce"),
        ("ほうれん草の胡麻和え", "Spinach with Sesame", "Blanched spinach in a dressing of ground sesame"),
        ("たこわさ", "Octopus with Wasabi", "Raw octopus, marinated with fresh wasabi stems"),
    ],
    "主菜 Mains": [
        ("鯖の塩焼き", "Salt-Grilled Mackerel", "A fillet with crisp skin, grated radish and lemon"),
        ("豚の生姜焼き", "Ginger Pork", "Thin slices of pork, seared with ginger and soy sauce, on cabbage"),
    ],
    "甘味 Desserts": [
        ("抹茶アイス", "Matcha Ice Cream", "Green tea ice cream with sweet red beans"),
        ("わらび餅", "Warabi Mochi", "Bracken starch jelly, dusted with roasted soybean flour"),
    ],
}
SHEET: Final = "menu-sheet.png"
_TITLE: Final = f"menu of {sum(map(len, MENU.values()))} dishes (generated)"
_DRAWER: Final = "pixmill_imaging.testing.contact_sheet"
#: Outputs of one demonstration replace those of the one before.
_MOMENT: Final = re.compile(r"_\d{8}_\d{6}(?=\.)")


@dataclass
class Dish:
    """As it came out. ``why`` no model made its picture, if so; ``file`` None: it has no picture."""

    category: str
    japanese: str
    english: str
    provider: str | None
    is_real: bool
    why: str | None
    file: Path | None


def send_menu(client: Client, webhook_url: str | None) -> Watched:
    """One job for all dishes."""
    menu = {
        category: [{"japanese_name": ja, "english_name": en, "description": text} for ja, en, text in dishes]
        for category, dishes in MENU.items()
    }
    accepted = client.create_menu({"final_menu": menu, "session_id": "demo", "webhook_url": webhook_url})
    return Watched(_TITLE, client.job(accepted["job_id"]))


def save_menu(client: Client, job: Watched, directory: Path) -> list[Dish]:
    """The pictures as files, called as the API calls them but for the moment."""
    dishes = []
    pictured: dict[str, list[dict[str, Any]]] = client.menu(job.job_id)["images_generated"]
    for category, found in pictured.items():
        for dish in found:
            file, url = None, dish["image_url"]
            if url is not None:
                file = directory / _MOMENT.sub("", url.rpartition("/")[2])
                client.download(url, file)
            why = dish["error"]["detail"] if dish["error"] else None
            names = dish["japanese_name"], dish["english_name"]
            dishes.append(Dish(category, *names, dish["provider"], dish["generation_success"], why, file))
    return dishes


def summary(dishes: list[Dish]) -> str:
    """How many are placeholders, and why."""
    by_model = [dish for dish in dishes if dish.is_real]
    if len(by_model) == len(dishes):
        return f"{len(dishes)} of {len(dishes)} pictures were made by {by_model[0].provider}."
    reasons = dict.fromkeys(dish.why for dish in dishes if dish.why)
    return f"Placeholders: {len(dishes) - len(by_model)} of {len(dishes)} pictures. {' '.join(reasons)}"


def draw_sheet(dishes: list[Dish], target: Path) -> None:
    """By another process: this package has no image library. Raises DemoError."""
    sheet = {"title": f"A menu of {len(dishes)} dishes", "remark": summary(dishes), "groups": _groups(dishes)}
    argv = [sys.executable, "-m", _DRAWER, str(target)]
    done = subprocess.run(argv, input=json.dumps(sheet).encode(), capture_output=True, check=False)
    if done.returncode:
        raise DemoError(f"the sheet could not be drawn: {done.stderr.decode(errors='replace').strip()}")


def _groups(dishes: list[Dish]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for dish in dishes:
        entry = {
            "picture": str(dish.file) if dish.file else None,
            "caption": dish.japanese,
            "subtitle": dish.english,
            "mark": dish.provider or "no picture",
            "warns": not dish.is_real,
        }
        groups.setdefault(dish.category, []).append(entry)
    return [{"heading": category, "entries": entries} for category, entries in groups.items()]
