"""The end of a render: objects and rows stay together, whatever breaks between them."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.finish import render_and_finish
from pixmill_imaging.testing.pictures import jpeg, photo
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Job, Output, Rendition
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import PermanentError, TransientError
from pixmill_shared.repositories import jobs
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, StorageUnavailable, open_store
from pixmill_shared.storage.signing import FileUrlSigner

ENGINE = Engine(PillowLoader(), PixelLimits())
RECIPE = {
    "outputs": [
        {"name": name, "format": "png", "operations": [{"op": "resize", "width": width}]}
        for name, width in (("large", 60), ("small", 30))
    ]
}


class Storage:
    """A real directory, with something that happens before a write."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.before_put: Callable[[int], None] = lambda _number: None
        self.puts = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def put(self, key: str, data: bytes, media_type: str) -> None:
        self.puts += 1
        self.before_put(self.puts)
        self._store.put(key, data, media_type)

    @property
    def renditions(self) -> set[str]:
        return {info.key for info in self._store.list("renditions/")}


@dataclass
class Rendering:
    database: Database
    store: Storage

    def claimed(self, recipe: dict[str, Any] = RECIPE, source_key: str = "uploads/u") -> jobs.ClaimedJob:
        new = jobs.NewJob(
            project="default",
            stage=Stage.RENDER,
            queue=QueueName.IMAGING,
            priority=1,
            source={"upload_id": "u"},
            source_key=source_key,
            recipe=recipe,
        )
        with self.database.session_scope() as session:
            job = jobs.claim(session, jobs.insert(session, new), Stage.RENDER, "w", 60)
        assert job is not None
        return job

    def run(self, job: jobs.ClaimedJob) -> None:
        render_and_finish(job, self.database, self.store, ENGINE)  # type: ignore[arg-type]

    def status(self, job: jobs.ClaimedJob) -> str:
        with self.database.session_scope() as session:
            return session.get_one(Job, job.id).status

    def outputs(self, job: jobs.ClaimedJob) -> dict[str, tuple[str, bool]]:
        """Storage key and ``cached`` by name."""
        query = select(Output, Rendition).join(Rendition).where(Output.job_id == job.id)
        with self.database.session_scope() as session:
            return {o.name: (r.storage_key, o.cached) for o, r in session.execute(query)}

    def named(self) -> set[str]:
        with self.database.session_scope() as session:
            return set(session.scalars(select(Rendition.storage_key)))

    def lose(self, job: jobs.ClaimedJob) -> None:
        with self.database.session_scope() as session:
            session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
            assert jobs.WORK.expire_leases(session, 3) == 1
            assert jobs.claim(session, job.id, Stage.RENDER, "another", 60) is not None


@pytest.fixture
def rendering(postgres_url: str, tmp_path: Path) -> Iterator[Rendering]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions CASCADE"))
    store = Storage(open_store(StorageSettings(url=tmp_path.as_uri()), FileUrlSigner(["k" * 32]), "http://x"))
    store._store.put("uploads/u", jpeg(photo(120, 90)), "image/jpeg")
    yield Rendering(database, store)
    database.dispose()


def test_made_outputs_are_stored_and_named(rendering: Rendering) -> None:
    job = rendering.claimed()
    rendering.run(job)
    outputs = rendering.outputs(job)
    assert rendering.status(job) == "completed"
    assert {name: cached for name, (_, cached) in outputs.items()} == {"large": False, "small": False}
    assert rendering.store.renditions == rendering.named() == {key for key, _ in outputs.values()}


def test_rendition_that_exists_is_linked_and_not_made_again(rendering: Rendering) -> None:
    first, second = rendering.claimed(), rendering.claimed()
    rendering.run(first)
    before = rendering.store.renditions
    rendering.run(second)
    assert rendering.store.puts == 2
    assert rendering.store.renditions == before
    assert {name: key for name, (key, _) in rendering.outputs(second).items()} == {
        name: key for name, (key, _) in rendering.outputs(first).items()
    }
    assert {cached for _, cached in rendering.outputs(second).values()} == {True}


def test_rendition_whose_object_is_gone_is_made_again_for_all_who_link_it(rendering: Rendering) -> None:
    first, second = rendering.claimed(), rendering.claimed()
    rendering.run(first)
    lost = rendering.outputs(first)["large"][0]
    rendering.store.delete(lost)
    rendering.run(second)
    outputs = rendering.outputs(second)
    assert {name: cached for name, (_, cached) in outputs.items()} == {"large": False, "small": True}
    assert outputs["large"][0] != lost
    assert rendering.outputs(first)["large"][0] == outputs["large"][0]
    assert rendering.store.renditions == rendering.named()


def test_storage_that_fails_half_way_leaves_nothing(rendering: Rendering) -> None:
    def fail(number: int) -> None:
        if number == 2:
            assert len(rendering.store.renditions) == 1
            raise StorageUnavailable

    rendering.store.before_put = fail
    job = rendering.claimed()
    with pytest.raises(TransientError):
        rendering.run(job)
    assert rendering.store.renditions == rendering.named() == set()
    assert rendering.status(job) == "processing"


def test_claim_that_is_lost_while_rendering_leaves_nothing(rendering: Rendering) -> None:
    job = rendering.claimed()
    rendering.store.before_put = lambda number: rendering.lose(job) if number == 2 else None
    rendering.run(job)
    assert rendering.store.renditions == rendering.named() == set()
    assert (rendering.status(job), rendering.outputs(job)) == ("processing", {})


def test_lost_claim_does_not_remove_what_the_winner_made(rendering: Rendering) -> None:
    """The slow one and the one that took over make the same renditions."""
    job = rendering.claimed()

    def overtaken(number: int) -> None:
        if number == 2:
            with rendering.database.session_scope() as session:
                session.execute(text("UPDATE jobs SET lease_until = now() - interval '1 s'"))
                assert jobs.WORK.expire_leases(session, 3) == 1
                winner = jobs.claim(session, job.id, Stage.RENDER, "another", 60)
            assert winner is not None
            rendering.run(winner)

    rendering.store.before_put = overtaken
    rendering.run(job)
    assert rendering.status(job) == "completed"
    assert rendering.store.renditions == rendering.named() == {key for key, _ in rendering.outputs(job).values()}
    assert len(rendering.named()) == 2


def test_two_jobs_that_make_the_same_after_a_lease_ran_out_keep_one_object_each(rendering: Rendering) -> None:
    slow, quick = rendering.claimed(), rendering.claimed()

    def overtaken(number: int) -> None:
        if number == 2:
            with rendering.database.session_scope() as session:
                session.execute(text("UPDATE rendition_reservations SET lease_until = now() - interval '1 s'"))
            rendering.run(quick)

    rendering.store.before_put = overtaken
    rendering.run(slow)
    assert {rendering.status(slow), rendering.status(quick)} == {"completed"}
    assert {k for k, _ in rendering.outputs(slow).values()} == {k for k, _ in rendering.outputs(quick).values()}
    assert rendering.store.renditions == rendering.named()
    assert len(rendering.named()) == 2


def test_two_outputs_of_one_content_share_one_object(rendering: Rendering) -> None:
    twins = [{**RECIPE["outputs"][0], "name": name} for name in ("a", "b")]
    job = rendering.claimed({"outputs": twins})
    rendering.run(job)
    outputs = rendering.outputs(job)
    assert outputs["a"] == outputs["b"]
    assert rendering.store.renditions == rendering.named() == {outputs["a"][0]}


class CutOff(Database):
    """Its transactions are cut off at the commit: ``after`` says whether the server has done it by then."""

    def __init__(self, url: str, *, after: bool) -> None:
        super().__init__(url)
        self._after = after
        self.transactions = 0

    def session_scope(self) -> Any:
        self.transactions += 1
        scope = super().session_scope()
        return _Cut(scope, self._after) if self.transactions == 2 else scope


class _Cut:
    def __init__(self, scope: Any, after: bool) -> None:
        self._scope, self._after = scope, after
        self._session: Session

    def __enter__(self) -> Session:
        self._session = self._scope.__enter__()
        return self._session

    def __exit__(self, *error: Any) -> bool | None:
        if not self._after:
            self._session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        self._scope.__exit__(*error)
        raise OperationalError("COMMIT", {}, Exception("the connection broke"))


@pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
def test_commit_that_is_cut_off_leaves_the_objects_in_place(
    rendering: Rendering, postgres_url: str, after: bool
) -> None:
    job = rendering.claimed()
    cut = CutOff(postgres_url, after=after)
    try:
        with pytest.raises(OperationalError):
            render_and_finish(job, cut, rendering.store, ENGINE)  # type: ignore[arg-type]
    finally:
        cut.dispose()
    assert cut.transactions == 2
    assert len(rendering.store.renditions) == 2
    assert rendering.status(job) == ("completed" if after else "processing")
    assert rendering.named() == (rendering.store.renditions if after else set())


def test_source_that_is_gone_fails_for_good(rendering: Rendering) -> None:
    job = rendering.claimed(source_key=f"uploads/{uuid.uuid4()}")
    with pytest.raises(PermanentError) as raised:
        rendering.run(job)
    assert raised.value.code == "source_not_found"
