"""Cards with a name on them: for development without a key, and where the real provider gives no picture."""

from typing import Final

from pixmill_imaging.pillow.card import LAYOUT, placeholder_card
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.providers.protocol import Picture, Subject


class PlaceholderProvider:
    """Needs no network, costs nothing, and never fails. The same name, category and fonts give the same bytes."""

    name = "placeholder"
    price: Final = 0

    def __init__(self, fonts: FontBook) -> None:
        self._fonts = fonts

    @property
    def identity(self) -> str:
        return f"placeholder/{LAYOUT}/{self._fonts.layout}/{self._fonts.default.digest}"

    def draw(self, subject: Subject) -> Picture:
        return Picture(placeholder_card(subject.name, subject.category, self._fonts), "image/png")
