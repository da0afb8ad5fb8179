"""Sources that never end: each job is given up after its tries, which are over by the time that the other tests are."""

import pytest
from tests.e2e.conftest import SLOW, Pixmill
from tests.e2e.test_bad_sources import assert_understandable


@pytest.mark.parametrize("path", SLOW)
def test_server_that_never_ends_its_answer_fails_the_job_after_its_tries(pixmill: Pixmill, path: str) -> None:
    job = pixmill.finished(pixmill.slow[path])
    assert (job["status"], job["error"]["code"], job["attempts"]) == ("failed", "source_timeout", 2)
    assert_understandable(job["error"]["detail"])
