"""The ways to write an operation: which of its fields go together, for its JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Form:
    """``fields`` narrow those of the operation, or leave one out by None; ``name`` tells the form from the others."""

    name: str = ""
    required: tuple[str, ...] = ()
    fields: Mapping[str, dict[str, Any] | None] = field(default_factory=dict)
    also: Mapping[str, Any] = field(default_factory=dict)
    """Keywords of JSON Schema."""
