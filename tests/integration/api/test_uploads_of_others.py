"""Unfinished uploads are their project's: to everybody else they are not there."""

import hashlib
from collections.abc import Iterator

import httpx
import pytest
from tests.integration.api.resuming import BASE, STREAM, VERSION
from tests.integration.api.running import PLAIN, Api, running_api
from tests.integration.api.test_bad_input import assert_problem

from pixmill_shared.contract.scopes import Scope
from pixmill_shared.database.engine import Database
from pixmill_shared.service.keys import create_key
from pixmill_shared.service.sealing import Sealer

DATA = b"0123456789"


@pytest.fixture(scope="module")
def guarded(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(postgres_url, tmp_path_factory.mktemp("others") / "objects", PIXMILL_AUTH="on") as running:
        yield running


def client(api: Api, project: str, *scopes: Scope) -> httpx.Client:
    database = Database(api.database_url)
    with database.session_scope() as session:
        wanted = {"scopes": frozenset(scopes)} if scopes else {}
        token = create_key(session, Sealer(["x" * 32]), project=project, name="test", **wanted).token
    database.dispose()
    return httpx.Client(base_url=api.url, headers={"Authorization": f"Bearer {token}"}, timeout=30, verify=PLAIN)


def test_resumable_upload_of_another_project_is_404_and_stays_as_it_is(guarded: Api) -> None:
    with client(guarded, "mine") as mine, client(guarded, "yours") as yours:
        url = mine.post(BASE, headers={**VERSION, "Upload-Length": str(len(DATA))}).headers["Location"]
        patch = {**STREAM, "Upload-Offset": "0"}
        for complete in (False, True):
            assert yours.head(url, headers=VERSION).status_code == 404
            assert_problem(yours.patch(url, content=DATA[::-1], headers=patch), 404, "not_found")
            assert_problem(yours.delete(url, headers=VERSION), 404, "not_found")
            assert_problem(yours.post(f"/api/v1/uploads/{url.rpartition('/')[2]}/complete"), 404, "not_found")
            if not complete:
                assert mine.patch(url, content=DATA, headers=patch).status_code == 204
    rows = guarded.query("SELECT project, sha256 FROM uploads WHERE id = %s", url.rpartition("/")[2])
    assert rows == [("mine", hashlib.sha256(DATA).hexdigest())]


def test_presigned_upload_of_another_project_is_404_and_stays_as_it_is(guarded: Api) -> None:
    with client(guarded, "mine") as mine, client(guarded, "yours") as yours:
        upload = mine.post("/api/v1/uploads/presign", json={"media_type": "image/png"}).json()
        # Whoever has the URL may write: it is the permission.
        assert httpx.put(upload["url"], content=DATA, headers=upload["headers"], timeout=60).status_code == 204
        assert_problem(yours.post(upload["urls"]["complete"]), 404, "not_found")
        assert mine.post(upload["urls"]["complete"]).status_code == 200
        assert_problem(yours.post(upload["urls"]["complete"]), 404, "not_found")


def test_who_has_no_key_learns_nothing_but_what_is_spoken(guarded: Api) -> None:
    assert guarded.client.options(BASE).status_code == 204
    for method, path in (("POST", BASE), ("PATCH", f"{BASE}/x"), ("DELETE", f"{BASE}/x"), ("HEAD", f"{BASE}/x")):
        assert guarded.client.request(method, path).status_code == 401
    assert_problem(guarded.client.post("/api/v1/uploads/presign", json={"media_type": "image/png"}), 401)


def test_key_that_may_only_read_sees_how_far_an_upload_is_and_writes_nothing(guarded: Api) -> None:
    with client(guarded, "mine") as mine, client(guarded, "mine", Scope.READ) as reader:
        url = mine.post(BASE, headers={**VERSION, "Upload-Length": "5"}).headers["Location"]
        assert reader.head(url, headers=VERSION).headers["Upload-Offset"] == "0"
        headers = {**STREAM, "Upload-Offset": "0"}
        assert_problem(reader.patch(url, content=b"12345", headers=headers), 403, "forbidden")
        assert_problem(reader.delete(url, headers=VERSION), 403, "forbidden")
        assert mine.head(url, headers=VERSION).headers["Upload-Offset"] == "0"
