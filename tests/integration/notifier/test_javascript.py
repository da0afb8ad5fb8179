"""What was really sent, verified by the JavaScript library of the Standard Webhooks specification."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.egress.servers import Handler, Server
from tests.integration.notifier.couriers import SECRET, answering, endpoint, finished_job, headers_of

from pixmill_notifier.service.deliver import Courier, deliver
from pixmill_shared.database.engine import Database

ROOT = Path(__file__).parents[3]
NODE = shutil.which("node")
OLDER = "whsec_" + base64.b64encode(b"the secret that was there before").decode()
WRONG = "whsec_" + base64.b64encode(b"a secret that nobody has told us").decode()
VERIFY = """
    const { Webhook } = require("standardwebhooks");
    const [secret, body, headers] = JSON.parse(require("fs").readFileSync(0, "utf8"));
    console.log(JSON.stringify(new Webhook(secret).verify(body, headers)));
"""

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (ROOT / "node_modules/standardwebhooks").is_dir(), reason="standardwebhooks is not installed: npm ci"
    ),
]


def verified(secret: str, body: str, headers: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(NODE), "-e", VERIFY],
        input=json.dumps([secret, body, headers]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_what_was_sent_verifies_with_either_secret_of_a_rotation_and_no_other(
    courier: Courier, database: Database, receive: Callable[[Handler], Server]
) -> None:
    receiver = receive(answering("200 OK"))
    endpoint(database, receiver.url(), secrets=(OLDER, SECRET))
    job_id, delivery_id = finished_job(database, None, metadata={"ä": "€ 🖼"})
    deliver(delivery_id, courier)
    body, headers = receiver.seen[0].body.decode(), headers_of(receiver.seen[0])
    for secret in (SECRET, OLDER):
        result = verified(secret, body, headers)
        assert result.returncode == 0, result.stderr
        told = json.loads(result.stdout)
        assert (told["data"]["job_id"], told["data"]["metadata"]) == (str(job_id), {"ä": "€ 🖼"})
    assert "No matching signature found" in verified(WRONG, body, headers).stderr
    assert "No matching signature found" in verified(SECRET, body.replace("completed", "failed"), headers).stderr
