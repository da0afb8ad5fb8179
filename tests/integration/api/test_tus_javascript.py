"""tus-js-client, as Uppy uses it: a large upload that is interrupted, and one that another process goes on with."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from tests.integration.api.running import Api, running_api

ROOT = Path(__file__).parents[3]
NODE = shutil.which("node")
MEGABYTES: Final = int(os.environ.get("PIXMILL_TEST_UPLOAD_MEGABYTES", "24"))
"""Of the upload: 200 and more in the long form."""

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (ROOT / "node_modules/tus-js-client").is_dir(), reason="tus-js-client is not installed: npm ci"
    ),
]

#: Sends the file; after ``abortAt`` bytes it aborts, finds the upload again by its URL, and goes on.
UPLOAD = """
    const fs = require("fs"), tus = require("tus-js-client");
    const [path, endpoint, options, abortAt, found] = JSON.parse(fs.readFileSync(0, "utf8"));
    const told = { statuses: [], resumedAt: null };
    const last = {
      endpoint,
      uploadUrl: found,
      uploadSize: fs.statSync(path).size,
      retryDelays: Array(60).fill(500),
      metadata: { filename: "a.png", filetype: "image/png" },
      onAfterResponse(request, response) {
        told.statuses.push(`${request.getMethod()} ${response.getStatus()}`);
        if (request.getMethod() === "HEAD" && response.getStatus() === 200)
          told.resumedAt = Number(response.getHeader("Upload-Offset"));
      },
      onError(error) {
        fs.writeSync(2, String(error));
        process.exit(1);
      },
      onSuccess() {
        fs.writeSync(1, JSON.stringify({ ...told, url: upload.url }));
        process.exit(0);
      },
      ...options,
    };
    function onProgress(sent) {
      if (sent < abortAt || upload.aborted) return;
      upload.aborted = true;
      upload.abort().then(() => {
        upload = new tus.Upload(fs.createReadStream(path), { ...last, uploadUrl: upload.url });
        upload.start();
      });
    }
    let upload = new tus.Upload(fs.createReadStream(path), abortAt ? { ...last, onProgress } : last);
    upload.start();
"""


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large file of bytes that repeat nowhere."""
    path: Path = tmp_path_factory.mktemp("pictures") / "a.png"
    with path.open("wb") as file:
        for _ in range(MEGABYTES):
            file.write(os.urandom(1_048_576))
    return path


@pytest.fixture(scope="module")
def site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return postgres_url, tmp_path_factory.mktemp("site") / "objects"


def running(site: tuple[str, Path], *, killed: bool = False, **changes: str) -> Any:
    return running_api(*site, killed=killed, PIXMILL_MAX_SOURCE_BYTES=str(MEGABYTES << 20), **changes)


@pytest.fixture(scope="module")
def api(site: tuple[str, Path]) -> Iterator[Api]:
    with running(site) as found:
        yield found


def client(
    picture: Path, api: Api, options: dict[str, Any], abort_at: int | None, found: str | None = None
) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [str(NODE), "-e", UPLOAD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin
    process.stdin.write(json.dumps([str(picture), f"{api.url}/api/v1/uploads/tus", options, abort_at, found]))
    process.stdin.close()
    process.stdin = None
    return process


def told_by(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, (out, err)
    told: dict[str, Any] = json.loads(out)
    return told


def assert_whole(api: Api, url: str, picture: Path) -> None:
    rows = api.query("SELECT sha256, bytes, media_type, key FROM uploads WHERE id = %s", url.rpartition("/")[2])
    sha256, size, media_type, key = rows[0]
    for path in (picture, api.storage / key):
        with path.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
    assert (size, media_type) == (picture.stat().st_size, "image/png")
    assert api.query("SELECT count(*) FROM upload_sessions") == [(0,)]


@pytest.mark.parametrize(
    "options",
    [{}, {"chunkSize": 5_000_000}, {"overridePatchMethod": True}],
    ids=["one request", "chunks", "method in a header"],
)
def test_upload_that_is_aborted_goes_on_where_it_was(api: Api, picture: Path, options: dict[str, Any]) -> None:
    size = picture.stat().st_size
    # The client looks at its progress ten times a second: an upload may be over before it aborts.
    attempts = (told_by(client(picture, api, options, size // 2)) for _ in range(10))
    told = next((told for told in attempts if told["resumedAt"]), None)
    assert told, "no upload was interrupted in ten"
    assert 0 < told["resumedAt"] < size
    assert "HEAD 200" in told["statuses"]
    assert_whole(api, told["url"], picture)


def test_first_bytes_go_with_the_creation(api: Api, picture: Path) -> None:
    told = told_by(client(picture, api, {"uploadDataDuringCreation": True, "chunkSize": 10_000_000}, None))
    assert told["statuses"][0] == "POST 201"
    assert_whole(api, told["url"], picture)


def test_upload_goes_on_at_a_new_process_after_the_first_was_killed(
    site: tuple[str, Path], picture: Path, tmp_path: Path
) -> None:
    # With its third part, of as many as it has megabytes by four.
    (tmp_path / "upload.part_noted").write_text(json.dumps({"action": "kill", "count": 3}))
    with running(site, killed=True, PIXMILL_FAILPOINTS=str(tmp_path)) as first:
        process = client(picture, first, {"chunkSize": 4_000_000, "retryDelays": None}, None)
        assert process.wait(120) == 1
        process.communicate()
        first.process.wait(60)
    ((upload_id, received),) = first.query("SELECT id, received FROM upload_sessions")
    with running(site) as second:
        url = f"{second.url}/api/v1/uploads/tus/{upload_id}"
        told = told_by(client(picture, second, {}, None, url))
        assert told["resumedAt"] == received == 12_000_000
        assert_whole(second, url, picture)
