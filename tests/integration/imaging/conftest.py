"""Sessions of the tests' own process: connections, statements and locks may take as long as a machine stands still.

Those of pixmill's processes keep their limits, and try again. A test that does their work in its own threads does not:
where the machine stood still for five seconds while one waited for another's row, it failed.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from pixmill_shared.database import engine


@pytest.fixture(scope="module", autouse=True)
def patient_sessions() -> Iterator[None]:
    def patient(statement_timeout: int) -> dict[str, Any]:
        given = plain(max(statement_timeout, 120))
        # Of two settings of one name the last one counts.
        return {**given, "connect_timeout": 60, "options": f"{given['options']} -c lock_timeout=60s"}

    plain = engine.connect_args
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "connect_args", patient)
        yield
