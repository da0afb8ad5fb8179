"""From JSON to a Recipe: strict, with all errors at once and defaults filled in."""

import re
from typing import Final

from pixmill_shared.domain.json_reader import JsonError, JsonReader, join_pointer
from pixmill_shared.domain.recipe.model import (
    DEFAULT_BLUR_SIGMA,
    DEFAULT_SHARPEN_AMOUNT,
    PROCESS_OUTPUT,
    Blur,
    FilterName,
    Grayscale,
    Limits,
    MetadataPolicy,
    Operation,
    Output,
    OutputFormat,
    Recipe,
    Resize,
    ResizeMode,
    Sharpen,
    default_quality,
)
from pixmill_shared.errors import PixmillError

NAME_PATTERN: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
NO_FILTER: Final = "none"

_FILTER_KEYS: Final = {
    FilterName.GRAYSCALE: ("op", "name"),
    FilterName.BLUR: ("op", "name", "sigma"),
    FilterName.SHARPEN: ("op", "name", "amount"),
}


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
        self._raise_if_wrong()
        return Recipe(tuple(output for output in outputs if output))

    def process(self, width: object, height: object, filter_name: object) -> Recipe:
        operations: list[Operation] = [Resize(self._dimension(width, "/width"), self._dimension(height, "/height"))]
        if filter_name in list(FilterName):
            operations.append(_default_filter(FilterName(str(filter_name))))
        elif filter_name != NO_FILTER:
            self._json.fail("/filter", f"must be one of {', '.join((NO_FILTER, *FilterName))}")
        self._raise_if_wrong()
        return Recipe((Output(PROCESS_OUTPUT, tuple(operations)),))

    def _raise_if_wrong(self) -> None:
        if self._json.errors:
            raise RecipeError(self._json.errors)

    def _output(self, value: object, at: str) -> Output | None:
        found = self._json.mapping(value, at, ("name", "operations", "format", "quality", "metadata"))
        if found is None:
            return None
        name = self._name(found.get("name"), f"{at}/name")
        output_format = self._json.choice(found.get("format", OutputFormat.SOURCE), f"{at}/format", OutputFormat)
        output_format = output_format or OutputFormat.SOURCE
        metadata = self._json.choice(found.get("metadata", "strip"), f"{at}/metadata", MetadataPolicy)
        quality = default_quality(output_format)
        if "quality" in found:
            quality = self._json.integer(found["quality"], f"{at}/quality", 1, 100)
        operations = self._operations(found.get("operations", []), f"{at}/operations")
        return Output(name, operations, output_format, quality, metadata or MetadataPolicy.STRIP)

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

    def _operations(self, value: object, at: str) -> tuple[Operation, ...]:
        items = self._json.items(value, at, 0, self._limits.max_operations) or []
        operations = [self._operation(item, join_pointer(at, i)) for i, item in enumerate(items)]
        return tuple(operation for operation in operations if operation)

    def _operation(self, value: object, at: str) -> Operation | None:
        op = value.get("op") if isinstance(value, dict) else None
        if op == "resize":
            return self._resize(value, at)
        if op == "filter":
            return self._filter(value, at)
        if not isinstance(value, dict):
            self._json.fail(at, "must be an object")
            return None
        self._json.fail(f"{at}/op", "must be one of resize, filter")
        return None

    def _resize(self, value: object, at: str) -> Resize | None:
        found = self._json.mapping(value, at, ("op", "width", "height", "mode", "enlarge")) or {}
        width = self._dimension(found["width"], f"{at}/width") if "width" in found else None
        height = self._dimension(found["height"], f"{at}/height") if "height" in found else None
        mode = self._json.choice(found.get("mode", ResizeMode.FIT), f"{at}/mode", ResizeMode)
        enlarge = self._json.boolean(found.get("enlarge", False), f"{at}/enlarge")
        given = sum(key in found for key in ("width", "height"))
        if given == 0:
            self._json.fail(at, "must have width, height or both")
        elif given == 1 and mode in (ResizeMode.FILL, ResizeMode.EXACT):
            self._json.fail(at, f"must have both width and height for mode {mode}")
        return Resize(width, height, mode or ResizeMode.FIT, bool(enlarge))

    def _filter(self, value: object, at: str) -> Operation | None:
        names = tuple(dict.fromkeys(key for keys in _FILTER_KEYS.values() for key in keys))
        found = value if isinstance(value, dict) else {}
        name = self._json.choice(found.get("name"), f"{at}/name", FilterName)
        self._json.mapping(value, at, _FILTER_KEYS[name] if name else names)
        if name is FilterName.BLUR:
            sigma = self._json.number(found.get("sigma", DEFAULT_BLUR_SIGMA), f"{at}/sigma", 0.1, 250)
            return Blur(sigma or DEFAULT_BLUR_SIGMA)
        if name is FilterName.SHARPEN:
            amount = self._json.number(found.get("amount", DEFAULT_SHARPEN_AMOUNT), f"{at}/amount", 0.01, 10)
            return Sharpen(amount or DEFAULT_SHARPEN_AMOUNT)
        return Grayscale() if name else None

    def _dimension(self, value: object, at: str) -> int | None:
        return self._json.integer(value, at, 1, self._limits.max_dimension)


def _default_filter(name: FilterName) -> Operation:
    if name is FilterName.BLUR:
        return Blur()
    return Sharpen() if name is FilterName.SHARPEN else Grayscale()
