"""A job with a watermark by upload: read from the project's storage, addressed by its bytes."""

import hashlib
import io
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import select, text

from pixmill_imaging.domain.limits import PixelLimits
from pixmill_imaging.pillow.fonts import FontBook
from pixmill_imaging.pillow.loader import PillowLoader
from pixmill_imaging.service.engine import Engine
from pixmill_imaging.service.finish import render_and_finish
from pixmill_imaging.testing.pictures import encoded
from pixmill_shared.contract.codes import ErrorCode
from pixmill_shared.contract.queues import QueueName
from pixmill_shared.database.engine import Database
from pixmill_shared.database.models import Output, Rendition, Upload
from pixmill_shared.domain.ids import new_id
from pixmill_shared.domain.jobs import Stage
from pixmill_shared.errors import PermanentError
from pixmill_shared.repositories import jobs, uploads
from pixmill_shared.settings.storage import StorageSettings
from pixmill_shared.storage import ObjectStore, open_store
from pixmill_shared.storage.signing import FileUrlSigner

ENGINE = Engine(PillowLoader(), PixelLimits())
GROUND, MARK = (20, 40, 60), (220, 140, 60)


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    return encoded(Image.new("RGB", (width, height), colour), "PNG")


@dataclass
class Project:
    """A source, uploads, and jobs over them."""

    database: Database
    store: ObjectStore
    engine: Engine = field(default_factory=lambda: ENGINE)

    def upload(self, data: bytes, project: str = "default") -> dict[str, str]:
        """As a pinned recipe names it."""
        row = Upload(
            id=new_id(),
            project=project,
            key=f"uploads/{uuid.uuid4()}",
            sha256=hashlib.sha256(data).hexdigest(),
            bytes=len(data),
            media_type="image/png",
        )
        self.store.put(row.key, data, row.media_type)
        named = {"upload_id": str(row.id), "sha256": row.sha256}
        with self.database.session_scope() as session:
            uploads.add(session, row)
        return named

    def run(self, *steps: dict[str, Any]) -> tuple[Image.Image, bool]:
        """The one output, and whether it is linked from before."""
        recipe = {"outputs": [{"name": "a", "format": "png", "operations": list(steps)}]}
        new = jobs.NewJob(
            project="default",
            stage=Stage.RENDER,
            queue=QueueName.IMAGING,
            priority=1,
            source={},
            source_key="uploads/source",
            recipe=recipe,
        )
        with self.database.session_scope() as session:
            job = jobs.claim(session, jobs.insert(session, new), Stage.RENDER, "w", 60)
        assert job is not None
        render_and_finish(job, self.database, self.store, self.engine)
        with self.database.session_scope() as session:
            query = select(Rendition.storage_key, Output.cached).join(Output).where(Output.job_id == job.id)
            key, cached = session.execute(query).one()
        return Image.open(io.BytesIO(self.store.get(key))).convert("RGB"), cached

    def renditions(self) -> int:
        return len(list(self.store.list("renditions/")))


@pytest.fixture
def project(postgres_url: str, tmp_path: Path) -> Iterator[Project]:
    database = Database(postgres_url)
    with database.session_scope() as session:
        session.execute(text("TRUNCATE jobs, renditions, uploads CASCADE"))
    store = open_store(StorageSettings(url=tmp_path.as_uri()), FileUrlSigner(["k" * 32]), "http://x")
    store.put("uploads/source", picture(60, 40, GROUND), "image/png")
    yield Project(database, store)
    database.dispose()


def watermark(image: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"op": "watermark", "image": image, **more}


def test_upload_is_laid_over_the_picture(project: Project) -> None:
    image, _ = project.run(watermark(project.upload(picture(10, 10, MARK)), gravity="northwest"))
    assert (image.getpixel((5, 5)), image.getpixel((30, 20))) == (MARK, GROUND)


def test_same_bytes_under_another_id_are_linked_and_other_bytes_are_rendered(project: Project) -> None:
    first, again, other = (project.upload(picture(10, 10, colour)) for colour in (MARK, MARK, (0, 255, 0)))
    assert project.run(watermark(first))[1] is False
    image, cached = project.run(watermark(again))
    assert (image.getpixel((30, 20)), cached) == (MARK, True)
    image, cached = project.run(watermark(other))
    assert (image.getpixel((30, 20)), cached) == ((0, 255, 0), False)
    assert project.renditions() == 2


def test_linked_rendition_needs_no_watermark(project: Project) -> None:
    mark = project.upload(picture(10, 10, MARK))
    project.run(watermark(mark))
    with project.database.session_scope() as session:
        session.execute(text("DELETE FROM uploads"))
    assert project.run(watermark(mark))[1] is True


def test_upload_of_another_project_is_not_read(project: Project) -> None:
    foreign = project.upload(picture(10, 10, MARK), project="other")
    with pytest.raises(PermanentError) as caught:
        project.run(watermark(foreign))
    assert caught.value.code is ErrorCode.SOURCE_NOT_FOUND
    assert "watermark" in caught.value.detail
    assert project.renditions() == 0


def test_upload_whose_object_is_gone_fails_for_good(project: Project) -> None:
    mark = project.upload(picture(10, 10, MARK))
    with project.database.session_scope() as session:
        key = session.scalars(select(Upload.key)).one()
    project.store.delete(key)
    with pytest.raises(PermanentError) as caught:
        project.run(watermark(mark))
    assert caught.value.code is ErrorCode.SOURCE_NOT_FOUND


def test_bytes_that_are_no_picture_fail_for_good_and_leave_nothing(project: Project) -> None:
    with pytest.raises(PermanentError) as caught:
        project.run(watermark(project.upload(b"%PDF-1.7")))
    assert caught.value.code is ErrorCode.UNSUPPORTED_FORMAT
    assert caught.value.detail.startswith("The image of the watermark cannot be used. It is a PDF")
    assert project.renditions() == 0


def test_text_is_rendered_anew_where_other_fonts_draw_it(project: Project) -> None:
    step = {"op": "watermark", "text": {"text": "Hamburg", "size": 20}}
    assert [project.run(step)[1] for _ in range(2)] == [False, True]

    class Bare(FontBook):
        layout = "basic"

    project.engine = Engine(PillowLoader(), PixelLimits(), Bare())
    assert project.run(step)[1] is False
    assert project.run({"op": "resize", "width": 20})[1] is False
    project.engine = ENGINE
    # What has no text is the same rendition under both.
    assert project.run({"op": "resize", "width": 20})[1] is True
