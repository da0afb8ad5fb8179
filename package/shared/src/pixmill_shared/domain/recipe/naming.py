"""Under which key an output is copied to its job's destination: a template, and the rules that it keeps."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from pixmill_shared.domain.places import InvalidPlace, segments_of
from pixmill_shared.domain.recipe.fields import Fields
from pixmill_shared.domain.recipe.model import Output, OutputFormat

DEFAULT_KEY: Final = "{job_id}/{name}.{ext}"
PLACEHOLDERS: Final = ("job_id", "name", "ext", "sha256")
MAX_KEY: Final = 300
"""Characters of a template."""

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_REAL_FORMATS: Final = [str(f) for f in OutputFormat if f not in (OutputFormat.SOURCE, OutputFormat.AUTO)]
_SOME_JOB: Final = "00000000-0000-0000-0000-000000000000"

_TEXT: Final = rf"[^.{{}}/%?#\\\x00-\x1f\x7f]|\{{({'|'.join(PLACEHOLDERS)})\}}"
_SEGMENT: Final = rf"(\.{{0,2}}({_TEXT})({_TEXT}|\.)*|\.{{3}}({_TEXT}|\.)*)"

KEY_SCHEMA: Final[dict[str, Any]] = {
    "description": "With a destination: the name of the copy below it, from text and "
    + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    + f"; at most {MAX_KEY} characters",
    "type": "string",
    "pattern": f"^{_SEGMENT}(/{_SEGMENT})*$",
    "default": DEFAULT_KEY,
}


class OutputNames(NamedTuple):
    """What is known once an output is made. ``ext`` has no dot, ``sha256`` in hex is of the output's bytes."""

    job_id: str
    ext: str
    sha256: str


def output_key(output: Output, names: OutputNames) -> str:
    """Below the destination."""
    return _expanded(output.key or DEFAULT_KEY, output.name, names)


def longest_key(output: Output) -> str:
    """As long as ``output_key`` can be."""
    return _some_key(output, _REAL_FORMATS[0], 0)


def read_key(fields: Fields, name: str) -> str | None:
    """Of an output called ``name``; None where it is absent. What is wrong is noted in ``fields``."""
    if not fields.given("key"):
        return None
    value = fields.raw("key")
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_KEY:
        fields.fail(f"must be 1 to {MAX_KEY} characters of text", "key")
        return None
    wrong = _what_is_wrong(value, name)
    if wrong:
        fields.fail(wrong, "key")
        return None
    return value


def colliding(outputs: Sequence[Output]) -> Iterator[tuple[int, int]]:
    """Positions of outputs whose copies could have one name, or one below the other's: the later one comes first."""
    possible = [_possible_keys(output, position) for position, output in enumerate(outputs)]
    for later in range(len(outputs)):
        for earlier in range(later):
            if any(_meet(one, other) for one in possible[later] for other in possible[earlier]):
                yield later, earlier
                break


def _what_is_wrong(template: str, name: str) -> str | None:
    unknown = sorted(set(_PLACEHOLDER.findall(template)) - set(PLACEHOLDERS))
    if unknown:
        return f"has the placeholder {{{unknown[0]}}}; known are {', '.join(f'{{{known}}}' for known in PLACEHOLDERS)}"
    if re.search(r"[{}]", _PLACEHOLDER.sub("", template)):
        return "has a brace that belongs to no placeholder"
    try:
        segments_of(_some_key(Output(name or "x", key=template), _REAL_FORMATS[0], 0))
    except InvalidPlace as error:
        return str(error)
    return None


def _some_key(output: Output, ext: str, position: int) -> str:
    # Other bytes have another digest, and outputs of the same bytes may have the same name.
    return output_key(output, OutputNames(_SOME_JOB, ext, f"{position:064x}"))


def _possible_keys(output: Output, position: int) -> set[tuple[str, ...]]:
    known = str(output.format) in _REAL_FORMATS
    extensions = [str(output.format)] if known else _REAL_FORMATS
    return {tuple(_some_key(output, ext, position).split("/")) for ext in extensions}


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _expanded(template: str, name: str, names: OutputNames) -> str:
    values = {"name": name, **names._asdict()}
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)
