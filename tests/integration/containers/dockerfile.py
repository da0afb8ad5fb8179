"""Reads a Dockerfile: stages and their instructions, as far as the Dockerfiles of this repository go."""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """``RUN`` with its flags (``--mount=…``) taken off, and so on."""

    keyword: str
    flags: dict[str, str]
    value: str

    def words(self) -> list[str]:
        """The exec form, or None where there is no JSON list."""
        words = json.loads(self.value)
        assert isinstance(words, list), f"{self.keyword} is not in exec form: {self.value}"
        return [str(word) for word in words]


@dataclass
class Stage:
    """``name`` is what ``COPY --from`` calls it."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, keyword: str) -> list[Instruction]:
        return [entry for entry in self.instructions if entry.keyword == keyword]

    def one(self, keyword: str) -> Instruction:
        entries = self.all(keyword)
        assert len(entries) == 1, f"{self.base}: {len(entries)} {keyword} instructions, one is wanted"
        return entries[0]

    @property
    def environment(self) -> dict[str, str]:
        """Of ENV, with ``$PATH`` left as it is."""
        pairs = [word.split("=", 1) for entry in self.all("ENV") for word in shlex.split(entry.value)]
        return dict(pairs)

    @property
    def healthcheck(self) -> list[str]:
        value = self.one("HEALTHCHECK").value
        keyword, _, rest = value.partition(" ")
        assert keyword == "CMD", f"HEALTHCHECK {value}"
        return Instruction("CMD", {}, rest).words()


def read_dockerfile(path: Path) -> list[Stage]:
    """The stages in order; the last one is the image."""
    stages: list[Stage] = []
    for line in _logical_lines(path.read_text()):
        keyword, _, rest = line.partition(" ")
        flags, value = _split_flags(rest.strip())
        if keyword == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(base, name or "image"))
        else:
            stages[-1].instructions.append(Instruction(keyword, flags, value))
    return stages


def _logical_lines(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\[ \t]*\n", "", "\n".join(kept))
    return [line for line in joined.splitlines() if line.strip()]


def _split_flags(text: str) -> tuple[dict[str, str], str]:
    flags = {}
    while match := re.match(r"--([\w-]+)=(\S+)\s+", text):
        flags[match[1]] = match[2]
        text = text[match.end() :]
    return flags, text
