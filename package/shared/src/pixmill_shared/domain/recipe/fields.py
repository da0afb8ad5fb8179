"""The fields of one JSON object while it is read: typed, with defaults, errors noted under their pointers."""

from collections.abc import Collection
from typing import TypeVar

from pixmill_shared.domain.json_reader import Choice, JsonReader, join_pointer
from pixmill_shared.domain.recipe.limits import Limits

Value = TypeVar("Value")


class Fields:
    """Each method gives the field's value, its default where it is absent, or the default with an error noted."""

    def __init__(self, reader: JsonReader, value: dict[str, object], at: str, limits: Limits) -> None:
        self.limits = limits
        self._reader = reader
        self._value = value
        self._at = at

    def given(self, key: str) -> bool:
        return key in self._value

    def raw(self, key: str) -> object:
        return self._value.get(key)

    def fail(self, detail: str, key: str | None = None) -> None:
        """Of one field, or of the whole object."""
        self._reader.fail(self._at if key is None else join_pointer(self._at, key), detail)

    def refuse_unknown(self, known: Collection[str]) -> None:
        self._reader.mapping(self._value, self._at, known)

    def inner(self, key: str, known: Collection[str]) -> "Fields | None":
        """The fields of an object inside this one, or None with an error noted."""
        at = join_pointer(self._at, key)
        found = self._reader.mapping(self._value.get(key), at, known)
        return None if found is None else Fields(self._reader, found, at, self.limits)

    def dimension(self, key: str) -> int | None:
        """In pixels, from 1 to the limit; None where it is absent."""
        return self.integer(key, None, 1, self.limits.max_dimension)

    def integer(self, key: str, default: int | None, least: int, most: int) -> int | None:
        if key not in self._value:
            return default
        found = self._reader.integer(self._value[key], join_pointer(self._at, key), least, most)
        return default if found is None else found

    def number(self, key: str, default: float, least: float, most: float) -> float:
        if key not in self._value:
            return default
        found = self._reader.number(self._value[key], join_pointer(self._at, key), least, most)
        return default if found is None else found

    def boolean(self, key: str, default: bool) -> bool:
        if key not in self._value:
            return default
        found = self._reader.boolean(self._value[key], join_pointer(self._at, key))
        return default if found is None else found

    def choice(self, key: str, default: Choice) -> Choice:
        if key not in self._value:
            return default
        found = self._reader.choice(self._value[key], join_pointer(self._at, key), type(default))
        return default if found is None else found
