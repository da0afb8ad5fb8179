"""``python -m tests.fuzz``: damaged files for as long as is asked, through both loaders, and a table of what came.

Exits with 1 if anything was raised that is no explained, permanent error, or if a process crashed or hung.
``--write`` puts the table into docs/fuzz.md. ``--first`` goes on where another run ended; a case is tried again by
``tests.fuzz.trying.Attempt(number, loader).outcome()``.
"""

import argparse
import collections
import datetime
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

LOADERS = ("vips", "pillow")
_SLICE = 20.0
"""Seconds after which a child is replaced by a fresh one."""
_HANG = 30.0


@dataclass
class Findings:
    """Of one loader. ``defects`` are sentences with the number of the case."""

    loader: str
    outcomes: collections.Counter[str] = field(default_factory=collections.Counter)
    defects: list[str] = field(default_factory=list)
    slowest: tuple[float, str, int] = (0.0, "", 0)
    peak: int = 0
    next: int = 0


def run(found: Findings, seconds: float, directory: Path) -> None:
    progress = directory / found.loader
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        command = [sys.executable, "-m", "tests.fuzz.child", found.loader, str(found.next), "1"]
        command += [str(min(left, _SLICE)), str(progress)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SLICE + _HANG, check=False)
        except subprocess.TimeoutExpired:
            found.defects.append(f"case {progress.read_text()} hung")
            found.next = int(progress.read_text()) + 1
            continue
        if done.returncode:
            number = progress.read_text() if progress.exists() else "?"
            found.defects.append(f"case {number} ended the process with {done.returncode}: {done.stderr[-300:]}")
            found.next = int(number) + 1
            continue
        said = json.loads(done.stdout.splitlines()[-1])
        found.outcomes.update(said["outcomes"])
        found.defects += [f"case {one['number']} ({one['file']}): {one['said']}" for one in said["defects"]]
        found.slowest = max(found.slowest, tuple(said["slowest"]))
        found.peak, found.next = max(found.peak, said["peak"]), said["next"]


def table(all_found: list[Findings]) -> str:
    codes = sorted({key.split()[1] for found in all_found for key in found.outcomes} - {"made", "defect"})
    columns = ["made", *codes, "defect"]
    lines = [f"| loader | format | cases | {' | '.join(columns)} |", "|" + " --- |" * (3 + len(columns))]
    for found in all_found:
        for kind in sorted({key.split()[0] for key in found.outcomes}):
            counts = [found.outcomes[f"{kind} {code}"] for code in columns]
            lines.append(f"| {found.loader} | {kind} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    lines.append("")
    for found in all_found:
        took, name, number = found.slowest
        lines.append(
            f"* {found.loader}: {sum(found.outcomes.values())} cases, {len(found.defects)} defects; the slowest took "
            f"{took * 1000:.0f} ms ({name}, case {number}); {found.peak // 1024} MiB at the peak."
        )
        lines += [f"  * {defect}" for defect in found.defects]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    all_found = [Findings(loader, next=options.first) for loader in LOADERS]
    with tempfile.TemporaryDirectory() as directory:
        threads = [threading.Thread(target=run, args=(one, options.seconds, Path(directory))) for one in all_found]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(table(all_found))
    if options.write:
        asked = f'make fuzz ARGS="--seconds {options.seconds:g} --first {options.first} --write"'
        today = datetime.datetime.now(datetime.UTC).date()
        Path("docs/fuzz.md").write_text(_DOCUMENT.format(asked=asked, today=today, table=table(all_found)))
    return 1 if any(found.defects for found in all_found) else 0


_DOCUMENT = """# Fuzzing the decoders

Small files of every format (stills, animations, palettes, 16 bits, CMYK, profiles, tiles) are damaged by flipped bits,
overwritten lengths, cuts, repeated and removed parts, and rendered by recipes that also read metadata and write every
format. Each must be made, or fail with a code that explains it. A crash of the process, a hang, or any other exception
is a defect. Each case has a number, so that it can be tried again; `make test` tries the first few hundred.

Last run: {today}, `{asked}`.

{table}
"""

if __name__ == "__main__":
    sys.exit(main())
