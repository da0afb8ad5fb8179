"""``python -m tests.fuzz.child LOADER FIRST STEP SECONDS PROGRESS``: tries cases, tells each number before it begins.

The last line of its output is a JSON document. A process of its own, so that a decoder that crashes is seen.
"""

import collections
import json
import resource
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.trying import Attempt

_ADDRESS_SPACE = 2 << 30


def main(loader: str, first: int, step: int, seconds: float, progress: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    outcomes: collections.Counter[str] = collections.Counter()
    defects: list[dict[str, object]] = []
    slowest = (0.0, "", 0)
    number, end = first, time.monotonic() + seconds
    while time.monotonic() < end:
        progress.write_text(str(number))
        case, begun = Attempt(number, loader), time.monotonic()
        kind = case.name.partition("-")[0]
        try:
            outcomes[f"{kind} {case.outcome()}"] += 1
        except Exception as error:
            outcomes[f"{kind} defect"] += 1
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error} in {where.name} of {Path(where.filename).name}:{where.lineno}"
            defects.append({"number": number, "file": case.name, "said": said})
        slowest = max(slowest, (time.monotonic() - begun, case.name, number))
        number += step
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"outcomes": outcomes, "defects": defects, "slowest": slowest, "peak": peak, "next": number}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[5]))
