"""Who made a picture and on what terms: the little that ``keep_copyright`` keeps, from wherever a file says it."""

from dataclasses import dataclass, fields
from typing import Final

#: Longer than any notice, shorter than what somebody would hide in one.
_MOST_CHARACTERS: Final = 2_000


@dataclass(frozen=True)
class Rights:
    """All optional; ``terms`` are in words, ``url`` is where they stand in full."""

    creator: str = ""
    notice: str = ""
    credit: str = ""
    terms: str = ""
    url: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


def merged(*sources: Rights) -> Rights:
    """Each field from the first source that has it, in one line."""
    found = {field.name: _first(field.name, sources) for field in fields(Rights)}
    return Rights(**found)


def _first(name: str, sources: tuple[Rights, ...]) -> str:
    texts = (_line(getattr(source, name)) for source in sources)
    return next((text for text in texts if text), "")


def _line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MOST_CHARACTERS]
