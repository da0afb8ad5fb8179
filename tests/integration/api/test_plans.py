"""No GET reads a big table, or an index of one, from end to end: as plans say, of every statement that it sends.

``make soak`` does the same with a million rows.
"""

import pytest
from tests.integration.api.running import environment
from tests.plans.filling import BIG, fill
from tests.plans.judging import Report, judged

ROWS = 20_000


@pytest.fixture(scope="module")
def report(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Report:
    fill(postgres_url, ROWS)
    storage = tmp_path_factory.mktemp("plans") / "objects"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(postgres_url, storage, PIXMILL_AUTH="on", PIXMILL_RATE_LIMIT="0").items():
            patch.setenv(name, value)
        return judged(postgres_url, storage, ROWS)


def test_every_get_of_the_document_is_answered_from_indexes(report: Report) -> None:
    assert report.wrong == []


def test_every_big_table_is_asked_for_something(report: Report) -> None:
    looked_at = {table for plans in report.plans.values() for plan in plans for table in plan.looked_at}
    assert looked_at >= BIG
