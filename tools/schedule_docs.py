"""Writes the table of the schedule in ``docs/operations.md`` from the schedule itself.

Run it after a change of the schedule: ``.venv/bin/python tools/schedule_docs.py``. A test fails while the text differs.
"""

import re
import sys
from datetime import timedelta
from pathlib import Path

from pixmill_shared.schedule import SCHEDULE, Entry

TARGET = Path(__file__).resolve().parent.parent / "docs" / "operations.md"
_TABLE = re.compile(r"(<!-- the schedule: begin -->\n).*?(<!-- the schedule: end -->)", re.DOTALL)


def document(text: str) -> str:
    """``text`` with the table as it should be."""
    lines = ["| entry | task | when | queue | what it does |", "| --- | --- | --- | --- | --- |"]
    lines += [
        f"| {entry.name} | `{entry.task}` | {_when(entry)} | {entry.queue} | {entry.does} |" for entry in SCHEDULE
    ]
    return _TABLE.sub(lambda found: found[1] + "\n".join(lines) + "\n" + found[2], text)


def _when(entry: Entry) -> str:
    if entry.at:
        return f"daily {entry.at:%H:%M}"
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if entry.every % unit == timedelta():
            return f"{entry.every // unit} {name}"
    return f"{entry.every.total_seconds():g} s"


def main() -> int:
    TARGET.write_text(document(TARGET.read_text()))
    print(f"wrote {TARGET}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
