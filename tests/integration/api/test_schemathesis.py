"""The OpenAPI document is true: schemathesis, with all of its checks, for all operations. ``make fuzz-api`` is the long
form, which also has the boundaries of every schema.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fuzz.api import Target, fuzzed_api, schemathesis
from tests.servers import Servers


@pytest.fixture(scope="module")
def target(servers: Servers, postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with fuzzed_api(postgres_url, servers.redis_url, tmp_path_factory.mktemp("fuzzed"), rows=3) as running:
        yield running


# A few hundred requests: 20 s on a machine that has nothing else to do.
@pytest.mark.timeout(600)
def test_nothing_contradicts_the_document(target: Target, tmp_path: Path) -> None:
    arguments = ["--phases", "examples,fuzzing,stateful", "--max-examples", "1"]
    # How long it takes to make a request says something of the machine only.
    arguments += ["--generation-deterministic", "--suppress-health-check", "all", "--warnings", "off"]
    code, said = schemathesis(target, tmp_path, arguments)
    assert code == 0, said
    operations = sum(map(len, target.api.client.get("/openapi.json").json()["paths"].values()))
    tested = re.search(r"Tested: (\d+)", said)
    assert tested, said
    assert int(tested[1]) == operations
