"""Outputs under the user's names in the user's storage, and sources from there: a directory, and a real S3 server."""

import hashlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from tests.integration.imaging.farm import PICTURE, SIGNER, CountingStore, Farm, directory, recipe
from tests.s3 import BUCKET, S3

from pixmill_imaging.service.fetch import fetch
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.contract.tasks import TaskName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job, Output
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.domain.places import Place
from pixmill_shared.egress import EgressClient
from pixmill_shared.plumbing.stages import run_stage
from pixmill_shared.settings.egress import EgressSettings
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, StorageUnavailable
from pixmill_shared.storage.apart import read_apart
from pixmill_shared.storage.places import Places


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "users").mkdir()
    return tmp_path / "users"


@pytest.fixture
def farm(postgres_url: str, tmp_path: Path, root: Path) -> Iterator[Farm]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, dead_letters CASCADE"))
    store = CountingStore(directory(str(tmp_path / "objects")))
    yield Farm(database, store, places_of(root.as_uri()))
    database.dispose()


def places_of(*prefixes: str, **settings: Any) -> Places:
    own = StorageSettings(url="file:///nowhere", **settings)
    return Places("PIXMILL_DESTINATIONS", [Place.parse(prefix) for prefix in prefixes], own, SIGNER, "http://x")


def copies(farm: Farm, job_id: uuid.UUID) -> dict[str, str | None]:
    query = select(Output.name, Output.storage_key).where(Output.job_id == job_id)
    with farm.database.session_scope() as session:
        return {row.name: row.storage_key for row in session.execute(query)}


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_outputs_are_copied_to_the_destination_by_job_and_name(farm: Farm, root: Path) -> None:
    job_id = farm.submit(recipe(60, 30), destination=f"{root.as_uri()}/out")
    farm.run(job_id)
    assert farm.job(job_id).status == "completed"
    assert files(root) == {f"out/{job_id}/w60.png", f"out/{job_id}/w30.png"}
    assert copies(farm, job_id) == {name: f"{root.as_uri()}/out/{job_id}/{name}.png" for name in ("w60", "w30")}
    rendition, _ = farm.outputs(job_id)["w60"]
    assert (root / f"out/{job_id}/w60.png").read_bytes() == farm.store.get(rendition)


def test_job_without_a_destination_has_no_copies(farm: Farm, root: Path) -> None:
    job_id = farm.submit(recipe(60))
    farm.run(job_id)
    assert (copies(farm, job_id), files(root)) == ({"w60": None}, set())


def test_linked_output_is_copied_without_a_decode(farm: Farm, root: Path) -> None:
    farm.run(farm.submit(recipe(60)))
    job_id = farm.submit(recipe(60, key="{name}/{sha256}.{ext}"), destination=root.as_uri())
    farm.run(job_id)
    (found,) = files(root)
    assert found == f"w60/{hashlib.sha256((root / found).read_bytes()).hexdigest()}.png"
    assert (farm.loader.decodes, farm.outputs(job_id)["w60"][1]) == (1, True)


def test_outputs_that_differ_by_name_only_are_both_copied(farm: Farm, root: Path) -> None:
    twins = [{**recipe(60)["outputs"][0], "name": name} for name in ("a", "b")]
    job_id = farm.submit({"outputs": twins}, destination=root.as_uri())
    farm.run(job_id)
    assert files(root) == {f"{job_id}/a.png", f"{job_id}/b.png"}
    assert len(farm.store.puts) == 1


def test_job_that_is_run_again_overwrites_its_copies(farm: Farm, root: Path) -> None:
    job_id = farm.submit(recipe(60), destination=root.as_uri())
    job = farm.claim(job_id)
    farm.loader.before_decode = lambda number: number == 1 and lose(farm)
    farm.render(job)
    assert files(root) == {f"{job_id}/w60.png"}
    assert copies(farm, job_id) == {}
    farm.run(job_id)
    assert files(root) == {f"{job_id}/w60.png"}
    assert list(copies(farm, job_id)) == ["w60"]


def lose(farm: Farm) -> None:
    """The claim, as if its lease had run out."""
    with farm.database.session_scope() as session:
        session.execute(text("UPDATE jobs SET status = 'queued', lease_until = NULL, fence = fence + 1"))


def test_destination_that_is_no_longer_allowed_fails_the_job_and_keeps_nothing(farm: Farm, root: Path) -> None:
    job_id = farm.submit(recipe(60), destination=f"{root.as_uri()}-not/out")
    farm.run(job_id)
    row: Any = farm.job(job_id)
    assert (row.status, row.error["code"]) == ("failed", "forbidden_address")
    assert not Path(f"{root}-not").exists()
    assert {info.key for info in farm.store.list("renditions/")} == set()


def test_destination_that_is_away_is_tried_again(farm: Farm, root: Path) -> None:
    shutil.rmtree(root)
    root.write_text("a file where the directory was")
    job_id = farm.submit(recipe(60), destination=root.as_uri())
    farm.run(job_id)
    row: Any = farm.job(job_id)
    assert (row.status, row.error["code"]) == ("queued", "storage_unavailable")
    assert copies(farm, job_id) == {}


@pytest.fixture
def s3_places(s3: S3) -> Places:
    variables = s3.variables()
    return places_of(
        *(f"s3://{BUCKET}/users/a", f"s3://{BUCKET}/users/b b".replace(" ", "-")),
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
        aws_endpoint_url=variables["AWS_ENDPOINT_URL"],
    )


def test_outputs_land_in_the_users_bucket_under_the_users_names(farm: Farm, s3_places: Places) -> None:
    farm.places = s3_places
    address = f"s3://{BUCKET}/users/a/shop"
    job_id = farm.submit(recipe(60, key="spring sale/{name}.{ext}"), destination=address)
    farm.run(job_id)
    assert copies(farm, job_id) == {"w60": f"{address}/spring sale/w60.png"}
    store, key = s3_places.find(Place.parse(f"{address}/spring sale/w60.png"))
    assert key == "shop/spring sale/w60.png"
    assert store.get(key) == farm.store.get(farm.outputs(job_id)["w60"][0])


Fetch = Callable[..., Job]


@pytest.fixture
def fetched(farm: Farm) -> Fetch:
    """Runs the fetch stage of a job whose source is a key."""

    def run(address: str, places: Places | None = None, **settings: Any) -> Job:
        limits = EgressSettings(**settings)
        job_id = farm.submit(
            recipe(60),
            stage=Stage.FETCH,
            queue=QueueName.FETCH,
            source={"key": address},
            source_key=None,
            source_sha256=None,
        )
        found = places or farm.places
        run_stage(
            *(farm.runtime, str(job_id), Stage.FETCH, TaskName.FETCH_SOURCE),
            lambda job, _check: fetch(job, farm.database, farm.store, EgressClient(limits), limits, found),
        )
        return farm.job(job_id)

    return run


def test_source_by_key_is_copied_hashed_and_rendered(farm: Farm, root: Path, fetched: Fetch) -> None:
    (root / "in").mkdir()
    (root / "in" / "my photo.jpg").write_bytes(PICTURE)
    job = fetched(f"{root.as_uri()}/in/my photo.jpg")
    assert (job.status, job.stage, job.source_sha256) == ("queued", "render", hashlib.sha256(PICTURE).hexdigest())
    assert job.source["bytes"] == len(PICTURE)
    farm.run(job.id)
    assert farm.job(job.id).status == "completed"


def test_source_by_key_comes_from_the_users_bucket(farm: Farm, s3_places: Places, fetched: Fetch) -> None:
    address = f"s3://{BUCKET}/users/b-b/ü (1).jpg"
    store, key = s3_places.find(Place.parse(address))
    store.put(key, PICTURE, "image/jpeg")
    assert fetched(address, s3_places).source_sha256 == hashlib.sha256(PICTURE).hexdigest()


def test_many_sources_are_copied_from_bucket_to_bucket_at_once(s3: S3, s3_places: Places) -> None:
    """One store writes what another reads, in as many threads as a worker has."""
    address = Place.parse(f"s3://{BUCKET}/users/a/large.jpg")
    store, key = s3_places.find(address)
    data = bytes(range(256)) * 40_000
    store.put(key, data, "image/jpeg")

    def copy(number: int) -> str:
        store.put_stream(f"copies/{number}", read_apart(store.stream(key, 0, len(data))), "image/jpeg")
        return hashlib.sha256(store.get(f"copies/{number}")).hexdigest()

    with ThreadPoolExecutor(12) as threads:
        done = [threads.submit(copy, number) for number in range(12)]
        assert {each.result(60) for each in done} == {hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("{root}/none.jpg", "source_not_found"),
        ("{root}-beside/secret.jpg", "forbidden_address"),
        ("{root}/large.jpg", "too_large"),
    ],
)
def test_source_that_cannot_be_had_fails_with_its_code(root: Path, fetched: Fetch, address: str, code: str) -> None:
    (root / "large.jpg").write_bytes(b"x" * 2001)
    beside = Path(f"{root}-beside")
    beside.mkdir()
    (beside / "secret.jpg").write_bytes(PICTURE)
    job: Any = fetched(address.replace("{root}", root.as_uri()), max_source_bytes=2000)
    assert (job.status, job.error["code"], job.source_key) == ("failed", code, None)


def test_key_that_is_missing_in_a_bucket_is_not_found(s3_places: Places, fetched: Fetch) -> None:
    job: Any = fetched(f"s3://{BUCKET}/users/a/none.jpg", s3_places)
    assert (job.status, job.error["code"]) == ("failed", "source_not_found")
    assert "users/a/none.jpg" in job.error["detail"]


def test_storage_that_is_down_is_tried_again(fetched: Fetch) -> None:
    closed = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_endpoint_url": "http://127.0.0.1:9"}
    job: Any = fetched("s3://bucket/a.jpg", places_of("s3://bucket", timeout=1, **closed))
    assert (job.status, job.stage, job.error["code"]) == ("queued", "fetch", "storage_unavailable")


def test_directory_that_is_away_is_tried_again(root: Path, fetched: Fetch) -> None:
    shutil.rmtree(root)
    root.write_text("a file where the directory was")
    job: Any = fetched(f"{root.as_uri()}/a.jpg")
    assert (job.status, job.error["code"]) == ("queued", "storage_unavailable")


def test_read_that_breaks_off_makes_no_half_source(
    farm: Farm, root: Path, fetched: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Breaking:
        def __init__(self, store: ObjectStore) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        def stream(self, key: str, start: int, end: int) -> Iterator[bytes]:
            yield from self._store.stream(key, start, end // 2)
            raise StorageUnavailable

    (root / "a.jpg").write_bytes(PICTURE)
    assert farm.places is not None
    find = farm.places.find
    monkeypatch.setattr(farm.places, "find", lambda place: (Breaking(find(place)[0]), find(place)[1]))
    job: Any = fetched(f"{root.as_uri()}/a.jpg")
    assert (job.status, job.error["code"]) == ("queued", "storage_unavailable")
    assert list(farm.store.list("sources/")) == []
