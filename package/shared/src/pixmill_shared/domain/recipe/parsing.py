"""From JSON to a Recipe: strict, with all errors at once and defaults filled in."""

import re
from typing import Final

from pixmill_shared.domain.json_reader import JsonError, JsonReader, join_pointer
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.limits import MAX_WEBP_SIDE, Limits
from pixmill_shared.domain.recipe.model import (
    PROCESS_OUTPUT,
    Output,
    Recipe,
)
from pixmill_shared.domain.recipe.naming import colliding
from pixmill_shared.domain.recipe.operations import FILTERS, OPERATIONS, Operation, Resize
from pixmill_shared.domain.recipe.output import OUTPUT_SCHEMA, read_output
from pixmill_shared.domain.recipe.sides import too_long
from pixmill_shared.errors import PixmillError

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NO_FILTER: Final = "none"
FILTER: Final = "filter"


class RecipeError(PixmillError):
    """``errors`` holds a pointer (RFC 6901) and a sentence for each thing that is wrong."""

    def __init__(self, errors: list[JsonError]) -> None:
        super().__init__("; ".join(f"{error.pointer or '(document)'} {error.detail}" for error in errors))
        self.errors = errors


def parse_recipe(value: object, limits: Limits = Limits()) -> Recipe:  # noqa: B008 - frozen
    """Read ``{"outputs": [...]}`` as ``json.loads`` gives it, or raise RecipeError with all that is wrong."""
    return _RecipeReader(limits).recipe(value)


def process_recipe(
    width: object = 800,
    height: object = 600,
    filter_name: object = NO_FILTER,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Recipe:
    """The recipe of the short form: one output that fits into the box, filtered, in the source's format.

    Raises RecipeError with the pointers ``/width``, ``/height`` and ``/filter``.
    """
    return _RecipeReader(limits).process(width, height, filter_name)


class _RecipeReader:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._json = JsonReader()

    def recipe(self, value: object) -> Recipe:
        found = self._json.mapping(value, "", ("outputs",)) or {}
        if isinstance(value, dict) and "outputs" not in found:
            self._json.fail("/outputs", "is missing")
        items = (
            self._json.items(found["outputs"], "/outputs", 1, self._limits.max_outputs) if "outputs" in found else None
        )
        outputs = [self._output(item, join_pointer("/outputs", i)) for i, item in enumerate(items or [])]
        self._refuse_doubled_names(outputs)
        self._refuse_doubled_keys(outputs)
        self._raise_if_wrong()
        return Recipe(tuple(output for output in outputs if output))

    def process(self, width: object, height: object, filter_name: object) -> Recipe:
        box = self._fields({"width": width, "height": height}, "")
        operations: list[Operation] = [Resize(box.dimension("width"), box.dimension("height"))]
        if isinstance(filter_name, str) and filter_name in FILTERS:
            operations.append(FILTERS[filter_name].read(self._fields({}, "")))
        elif filter_name != NO_FILTER:
            self._json.fail("/filter", f"must be one of {', '.join((NO_FILTER, *FILTERS))}")
        self._raise_if_wrong()
        return Recipe((Output(PROCESS_OUTPUT, tuple(operations)),))

    def _fields(self, value: dict[str, object], at: str) -> Fields:
        return Fields(self._json, value, at, self._limits)

    def _raise_if_wrong(self) -> None:
        if self._json.errors:
            raise RecipeError(self._json.errors)

    def _output(self, value: object, at: str) -> Output | None:
        found = self._json.mapping(value, at, ("name", "operations", *OUTPUT_SCHEMA))
        if found is None:
            return None
        wrong = len(self._json.errors)
        name = self._name(found.get("name"), f"{at}/name")
        operations = self._operations(found.get("operations", []), f"{at}/operations")
        output = read_output(self._fields(found, at), name, operations)
        # A step that could not be read is missing, and the places are then not those of the document.
        if len(self._json.errors) == wrong:
            for place, side in too_long(output):
                self._json.fail(f"{at}/operations/{place}/{side}", f"must be at most {MAX_WEBP_SIDE} for format webp")
        return output

    def _name(self, value: object, at: str) -> str:
        if isinstance(value, str) and NAME_PATTERN.fullmatch(value):
            return value
        self._json.fail(at, "must be 1 to 64 of a-z, 0-9, _ and -, and begin with a letter or digit")
        return ""

    def _refuse_doubled_names(self, outputs: list[Output | None]) -> None:
        first: dict[str, int] = {}
        for i, output in enumerate(outputs):
            if output and output.name and first.setdefault(output.name, i) != i:
                self._json.fail(f"/outputs/{i}/name", f"is the name of output {first[output.name]} as well")

    def _refuse_doubled_keys(self, outputs: list[Output | None]) -> None:
        read = [output for output in outputs if output]
        if len(read) < len(outputs) or self._json.errors:
            return
        for later, earlier in colliding(read):
            self._json.fail(f"/outputs/{later}/key", f"may name the file of output {earlier} too, or one below it")

    def _operations(self, value: object, at: str) -> tuple[Operation, ...]:
        items = self._json.items(value, at, 0, self._limits.max_operations) or []
        operations = [self._operation(item, join_pointer(at, i)) for i, item in enumerate(items)]
        return tuple(operation for operation in operations if operation)

    def _operation(self, value: object, at: str) -> Operation | None:
        if not isinstance(value, dict):
            self._json.fail(at, "must be an object")
            return None
        fields, op = self._fields(value, at), value.get("op")
        if op == FILTER:
            return self._step(fields, FILTERS, "name", ("op", "name"))
        return self._step(fields, OPERATIONS, "op", ("op",), also=(FILTER,))

    def _step(
        self,
        fields: Fields,
        kinds: dict[str, type[Operation]],
        key: str,
        known: tuple[str, ...],
        also: tuple[str, ...] = (),
    ) -> Operation | None:
        name = fields.raw(key)
        kind = kinds.get(name) if isinstance(name, str) else None
        if kind is None:
            fields.fail(f"must be one of {', '.join((*kinds, *also))}", key)
            return None
        fields.refuse_unknown((*known, *kind.SCHEMA))
        return kind.read(fields)
