"""Sessions of the tests' own process, whose statements and locks wait for as long as a machine may stand still.

Those of pixmill's processes keep their limits, and try again. A test that does their work in its own threads does not:
where the machine stood still for five seconds while one waited for another's row, it failed.
"""

from collections.abc import Iterator

import pytest

from pixmill_shared.database import engine


@pytest.fixture(scope="module", autouse=True)
def patient_sessions() -> Iterator[None]:
    def patient(statement_timeout: int) -> str:
        # Of two settings of one name the last one counts.
        return f"{plain(max(statement_timeout, 120))} -c lock_timeout=60s"

    plain = engine.server_options
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "server_options", patient)
        yield
